import Shared

/// Who may call a route. The router enforces it before the handler runs; what a person may see beyond that is decided
/// by `Principal.tenancy` in the queries.
public enum Access: Sendable, Hashable {
    /// Anyone, without a token; none is looked at.
    case everyone
    /// No token: the handler verifies a signature (carrier and payment webhooks, relay sockets).
    case signed
    /// Any valid token.
    case member
    /// Whoever may do this to something; the handler asks about the thing itself.
    case may(Action)
    /// Programs of ours only; the gateway never forwards it.
    case `internal`

    /// Whether a token is needed.
    public var needsPrincipal: Bool {
        switch self {
        case .everyone, .signed, .internal: false
        case .member, .may: true
        }
    }

    /// `x-switchboard-access` in the OpenAPI document.
    public var text: String {
        switch self {
        case .everyone: "everyone"
        case .signed: "signed"
        case .member: "member"
        case .may(let action): action.rawValue
        case .internal: "internal"
        }
    }

    /// - Throws: 403 when there is nothing the person may do this to.
    public func admit(_ principal: Principal) throws(Problem) {
        switch self {
        case .everyone, .signed, .internal, .member: return
        case .may(let action): try principal.require(action)
        }
    }
}

/// What an API key may be limited to: an area of the API and whether it may change anything there.
///
/// A key with the scope `calls:read` may read calls, `read` may read everything, `calls:write` may change calls (and
/// read nothing), `*` is no limit. A token without scopes is not limited at all.
public struct Scope: Sendable, Hashable {
    /// The route's tag: `calls`, `knowledge`, `auth` …
    public let area: String
    public let writes: Bool

    public init(area: String, writes: Bool) {
        self.area = area
        self.writes = writes
    }

    public var text: String { "\(area):\(verb)" }
    private var verb: String { writes ? "write" : "read" }

    /// - Throws: 403 naming the scope that is missing.
    public func admit(_ principal: Principal) throws(Problem) {
        guard let scopes = principal.scopes else { return }
        if scopes.contains(where: { $0 == text || $0 == verb || $0 == "*" }) { return }
        throw .forbidden("The API key lacks the scope \(text).")
    }
}
