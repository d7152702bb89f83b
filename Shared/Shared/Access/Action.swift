/// Everything a person can do to something of the system, and who may: the one table that every check is compiled from.
///
/// A route names its action (`access: .may(.writeAgents)`); the router turns away whoever may do it to nothing at all, and
/// the handler asks about the thing at hand with `Principal.require(_:in:)` or `Principal.require(_:of:)`.
/// `docs/permissions.md` shows this table; a test keeps the two alike.
public enum Action: String, CaseIterable, Sendable {
    case readCalls = "calls.read"
    case placeCalls = "calls.place"
    case steerCalls = "calls.steer"
    case noteCalls = "calls.note"
    case reviewCalls = "calls.review"
    case readAgents = "agents.read"
    case writeAgents = "agents.write"
    case setAvailability = "agents.availability"
    case readKnowledge = "knowledge.read"
    case writeKnowledge = "knowledge.write"
    case readConfigs = "configs.read"
    case writeConfigs = "configs.write"
    case readAnalytics = "analytics.read"
    case readPlans = "plans.read"
    case writePlans = "plans.write"
    case readSubscription = "subscription.read"
    case changeSubscription = "subscription.change"
    case readUsers = "users.read"
    case createUsers = "users.create"
    case writeUsers = "users.write"
    case promoteUsers = "users.promote"
    case deleteUsers = "users.delete"
    case changeStatus = "users.status"
    case readBlacklist = "blacklist.read"
    case writeBlacklist = "blacklist.write"
    case createWorkspaces = "workspaces.create"
    case readWorkspaces = "workspaces.read"
    case writeWorkspaces = "workspaces.write"
    case writeMembers = "workspaces.members"
    case giveAwayWorkspaces = "workspaces.owner"
    case deleteWorkspaces = "workspaces.delete"
    case readAudit = "audit.read"

    /// Who may.
    public var grant: Grant {
        switch self {
        case .readCalls, .readAgents, .readKnowledge, .readConfigs, .readAnalytics, .readSubscription:
            Grant(.members(from: .viewer))
        case .placeCalls, .steerCalls, .noteCalls:
            Grant(.members(from: .agent))
        case .reviewCalls, .writeAgents, .writeKnowledge, .writeConfigs, .writeWorkspaces, .writeMembers:
            Grant(.members(from: .manager))
        case .changeSubscription, .giveAwayWorkspaces, .deleteWorkspaces:
            Grant(.members(from: .owner))
        case .setAvailability:
            Grant(.oneself, .members(from: .manager))
        case .readPlans, .createWorkspaces:
            Grant(.oneself)
        case .readUsers, .writeUsers:
            Grant(.oneself, .staff)
        case .readWorkspaces:
            Grant(.members(from: .viewer), .staff)
        case .readBlacklist, .writeBlacklist:
            Grant(.members(from: .manager), .staff)
        case .writePlans, .createUsers, .changeStatus:
            Grant(.staff)
        case .promoteUsers, .deleteUsers, .readAudit:
            Grant()
        }
    }
}

/// Whom an action is open to. Admins may do everything, so no grant names them.
public struct Grant: Sendable, Hashable {
    /// How somebody stands to the thing an action is done to.
    public enum Relation: Sendable, Hashable {
        /// It is them, or theirs alone.
        case oneself
        /// They have this role, or a higher one, in the workspace that holds it.
        case members(from: WorkspaceRole)
        /// They are staff (001's `is_staff`): anything in the system.
        case staff
    }

    public let relations: [Relation]

    init(_ relations: Relation...) { self.relations = relations }

    public var isForOneself: Bool { relations.contains(.oneself) }
    public var isForStaff: Bool { relations.contains(.staff) }
    /// The least role that opens the action to members; nil when membership does not.
    public var leastRole: WorkspaceRole? {
        for case .members(let role) in relations { return role }
        return nil
    }
}
