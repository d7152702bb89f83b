/// Who asks: what a verified token says about its bearer.
public struct Principal: Sendable, Hashable {
    public let user: UserID
    public let role: Role
    /// 001's `is_staff`.
    public let staff: Bool
    /// The login the token descends from; nil for an API key's.
    public let session: SessionID?
    public let workspaces: [WorkspaceID: WorkspaceRole]
    /// When the token stops counting; sockets opened with it close then.
    public let expires: Instant
    /// What an API key is limited to; nil = everything its person may do.
    public let scopes: [String]?
    /// The API key the token was made for, if it was; revoking the key ends it.
    public let apiKey: APIKeyID?

    public init(
        user: UserID, role: Role, staff: Bool = false, session: SessionID? = nil,
        workspaces: [WorkspaceID: WorkspaceRole] = [:], expires: Instant, scopes: [String]? = nil,
        apiKey: APIKeyID? = nil
    ) {
        self.user = user
        self.role = role
        self.staff = staff
        self.session = session
        self.workspaces = workspaces
        self.expires = expires
        self.scopes = scopes
        self.apiKey = apiKey
    }

    public var isAdmin: Bool { role == .admin }

    /// The oldest workspace this person owns. Ids are in the order they were made.
    public var ownWorkspace: WorkspaceID? {
        workspaces.filter { $0.value == .owner }.keys.min()
    }

    /// Where a request that names no workspace goes: their own, or else their oldest membership.
    public var defaultWorkspace: WorkspaceID? { ownWorkspace ?? workspaces.keys.min() }

    /// Which workspaces' rows this person sees.
    public var tenancy: Tenancy { isAdmin ? .all : .only(workspaces.keys.sorted()) }

    /// Which workspaces' rows this person may do `action` to.
    public func tenancy(for action: Action) -> Tenancy {
        if isAdmin || staff && action.grant.isForStaff { return .all }
        guard let least = action.grant.leastRole else { return .only([]) }
        return .only(workspaces.filter { $0.value >= least }.keys.sorted())
    }

    public func role(in workspace: WorkspaceID) -> WorkspaceRole? {
        isAdmin ? .owner : workspaces[workspace]
    }

    /// Passes when there can be something this person may do `action` to.
    /// - Throws: 403.
    public func require(_ action: Action) throws(Problem) {
        let grant = action.grant
        if isAdmin || grant.isForOneself || staff && grant.isForStaff { return }
        guard let least = grant.leastRole else {
            throw .forbidden(grant.isForStaff ? "This is for staff." : "This is for admins.")
        }
        // Viewers are let in with no workspace at all: their lists are empty, which is no offence.
        guard least > .viewer, !workspaces.values.contains(where: { $0 >= least }) else { return }
        throw .forbidden("This needs the role \(least.rawValue) in a workspace.")
    }

    /// Passes when this person may do `action` to what `workspace` holds.
    /// - Throws: 404 for a workspace they do not belong to (its existence is nobody's business), 403 for too low a
    ///   role.
    public func require(_ action: Action, in workspace: WorkspaceID) throws(Problem) {
        if staff && action.grant.isForStaff { return }
        guard let role = role(in: workspace) else { throw .notFound(.workspaceNotFound) }
        if isAdmin { return }
        guard let least = action.grant.leastRole else {
            throw .forbidden(action.grant.isForStaff ? "This is for staff." : "This is for admins.")
        }
        guard role >= least else {
            throw .forbidden("This needs the role \(least.rawValue) in the workspace; yours is \(role.rawValue).")
        }
    }

    /// Passes when this person may do `action` to `user`, or to what is theirs alone.
    /// - Throws: 404 for somebody else: who has an account is nobody's business.
    public func require(_ action: Action, of user: UserID) throws(Problem) {
        let grant = action.grant
        if isAdmin || staff && grant.isForStaff || user == self.user && grant.isForOneself { return }
        if user == self.user { throw .forbidden("This is for \(grant.isForStaff ? "staff" : "admins").") }
        throw .notFound(.userNotFound)
    }

    /// The workspace a request means: the named one, or `defaultWorkspace`.
    /// - Throws: 404 when it is not theirs or they have none, 403 for too low a role.
    public func workspace(_ named: WorkspaceID?, for action: Action) throws(Problem) -> WorkspaceID {
        guard let workspace = named ?? defaultWorkspace else { throw .notFound(.workspaceNotFound) }
        try require(action, in: workspace)
        return workspace
    }

    /// Whether the token's scopes include `scope`; a token without scopes has them all.
    public func allows(_ scope: String) -> Bool { scopes?.contains(scope) ?? true }
}

/// Which workspaces' rows a query may touch.
public enum Tenancy: Sendable, Hashable {
    case all
    case only([WorkspaceID])

    /// nil = no restriction.
    public var ids: [WorkspaceID]? {
        switch self {
        case .all: nil
        case .only(let ids): ids
        }
    }

    public func contains(_ workspace: WorkspaceID) -> Bool {
        switch self {
        case .all: true
        case .only(let ids): ids.contains(workspace)
        }
    }
}
