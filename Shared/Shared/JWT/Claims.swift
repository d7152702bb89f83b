/// What an access token says.
public struct Claims: Sendable, Hashable {
    public var subject: UserID
    public var role: Role
    public var staff: Bool
    /// `sid`: the login the token descends from.
    public var session: SessionID?
    /// `ws`: the workspaces and the role in each.
    public var workspaces: [WorkspaceID: WorkspaceRole]
    public var issuer: String
    public var audience: String
    public var issuedAt: Instant
    public var notBefore: Instant?
    public var expires: Instant
    /// `jti`
    public var id: String
    /// What the token is for. Only `access` opens anything.
    public var use: String
    public var scopes: [String]?
    /// `key`: the API key the token was made for.
    public var apiKey: APIKeyID?

    public init(
        subject: UserID, role: Role, staff: Bool = false, session: SessionID? = nil,
        workspaces: [WorkspaceID: WorkspaceRole] = [:], issuer: String, audience: String, issuedAt: Instant,
        notBefore: Instant? = nil, expires: Instant, id: String = EventID().text, use: String = Claims.accessUse,
        scopes: [String]? = nil, apiKey: APIKeyID? = nil
    ) {
        self.subject = subject
        self.role = role
        self.staff = staff
        self.session = session
        self.workspaces = workspaces
        self.issuer = issuer
        self.audience = audience
        self.issuedAt = issuedAt
        self.notBefore = notBefore
        self.expires = expires
        self.id = id
        self.use = use
        self.scopes = scopes
        self.apiKey = apiKey
    }

    public static let accessUse = "access"

    public var principal: Principal {
        Principal(
            user: subject, role: role, staff: staff, session: session, workspaces: workspaces, expires: expires,
            scopes: scopes, apiKey: apiKey)
    }
}

extension Claims: JSONWritable {
    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("sub", subject)
            json.field("role", role)
            json.field("staff", staff)
            json.field("sid", ifPresent: session)
            json.fieldObject("ws") { json in
                for (id, role) in workspaces.sorted(by: { $0.key < $1.key }) { json.field(id.text, role) }
            }
            json.field("iss", issuer)
            json.field("aud", audience)
            // With its fraction: a token issued in the second of a revocation, but after it, counts.
            json.field("iat", Double(issuedAt.microseconds) / 1_000_000)
            json.field("nbf", ifPresent: notBefore?.seconds)
            json.field("exp", expires.seconds)
            json.field("jti", id)
            json.field("use", use)
            json.field("scopes", ifPresent: scopes)
            json.field("key", ifPresent: apiKey)
        }
    }

    /// Reads what a token's signature vouches for. Nothing is assumed: a claim that is missing is an error.
    init(json: JSON) throws(TokenError) {
        guard let object = json.object else { throw .malformed("the claims are no object") }
        func text(_ name: String) throws(TokenError) -> String {
            guard let text = object[name]?.string, !text.isEmpty else { throw .claim(name) }
            return text
        }
        func time(_ name: String) throws(TokenError) -> Instant {
            // NumericDate may have a fraction (RFC 7519 §2). The bound keeps it within what an Instant can hold.
            guard let seconds = object[name]?.double, (0...253_402_300_799).contains(seconds) else {
                throw .claim(name)
            }
            return Instant(microseconds: Int64((seconds * 1_000_000).rounded()))
        }
        func optional<Of>(_ name: String, _ type: ID<Of>.Type) throws(TokenError) -> ID<Of>? {
            guard let value = object[name] else { return nil }
            guard let id = value.string.flatMap({ ID<Of>($0) }) else { throw .claim(name) }
            return id
        }
        guard let subject = UserID(try text("sub")) else { throw .claim("sub") }
        guard let role = Role(rawValue: try text("role")) else { throw .claim("role") }
        guard let staff = object["staff"]?.bool else { throw .claim("staff") }
        self.subject = subject
        self.role = role
        self.staff = staff
        session = try optional("sid", SessionID.self)
        workspaces = try Claims.workspaces(object["ws"])
        issuer = try text("iss")
        audience = try Claims.audience(object["aud"])
        issuedAt = try time("iat")
        notBefore = object["nbf"] == nil ? nil : try time("nbf")
        expires = try time("exp")
        id = try text("jti")
        use = try text("use")
        scopes = try Claims.scopes(object["scopes"])
        apiKey = try optional("key", APIKeyID.self)
    }

    private static func workspaces(_ json: JSON?) throws(TokenError) -> [WorkspaceID: WorkspaceRole] {
        guard let object = json?.object else { throw .claim("ws") }
        var workspaces: [WorkspaceID: WorkspaceRole] = [:]
        for (name, value) in object.pairs {
            guard let id = WorkspaceID(name), let role = value.string.flatMap(WorkspaceRole.init(rawValue:)),
                workspaces.updateValue(role, forKey: id) == nil
            else { throw .claim("ws") }
        }
        return workspaces
    }

    /// Our tokens are for one audience; a list of one is the same (RFC 7519 §4.1.3).
    private static func audience(_ json: JSON?) throws(TokenError) -> String {
        let value = json?.array.flatMap { $0.count == 1 ? $0[0] : nil } ?? json
        guard let text = value?.string, !text.isEmpty else { throw .claim("aud") }
        return text
    }

    private static func scopes(_ json: JSON?) throws(TokenError) -> [String]? {
        guard let json else { return nil }
        guard let array = json.array else { throw .claim("scopes") }
        let scopes = array.compactMap(\.string)
        guard scopes.count == array.count else { throw .claim("scopes") }
        return scopes
    }
}

/// Why a token does not count. For the log: clients only hear that it does not.
public enum TokenError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLarge
    case malformed(String)
    /// A header member that is not allowed or has the wrong value.
    case header(String)
    case algorithm(String)
    /// No key of that name is known: time to fetch the key set again.
    case unknownKey(String)
    case signature
    /// A claim that is missing or of the wrong shape.
    case claim(String)
    case issuer(String)
    case audience(String)
    /// Not an access token.
    case use(String)
    case expired(Instant)
    case notYetValid(Instant)

    public var description: String {
        switch self {
        case .tooLarge: "the token is larger than \(KeySet.tokenMax) bytes"
        case .malformed(let reason): "malformed token: \(reason)"
        case .header(let name): "the header \(name) is not allowed or not valid"
        case .algorithm(let name): "the algorithm \(name) is not accepted"
        case .unknownKey(let kid): "no key is named \(kid)"
        case .signature: "the signature does not match"
        case .claim(let name): "the claim \(name) is missing or not valid"
        case .issuer(let name): "issued by \(name)"
        case .audience(let name): "meant for \(name)"
        case .use(let use): "a token for \(use), not for access"
        case .expired(let at): "expired at \(at)"
        case .notYetValid(let at): "not valid before \(at)"
        }
    }
}
