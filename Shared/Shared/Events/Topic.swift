/// Every topic there is. Its name on the broker is the raw value.
public enum Topic: String, CaseIterable, Sendable {
    case authUsers = "auth.users"
    case authWorkspaces = "auth.workspaces"
    case authRevocations = "auth.revocations"
    case authBlacklist = "auth.blacklist"
    case authErasures = "auth.erasures"
    case billingSubscriptions = "billing.subscriptions"
    case billingPayments = "billing.payments"
    case billingUsage = "billing.usage"
    case telephonyCalls = "telephony.calls"
    case telephonyAgents = "telephony.agents"
    case telephonyLeads = "telephony.leads"
    case telephonyCallbacks = "telephony.callbacks"
    case telephonyCommands = "telephony.commands"
    case qaScores = "qa.scores"
    case knowledgeEntries = "knowledge.entries"
    case knowledgeConfigs = "knowledge.configs"
    case realtimeFrames = "realtime.frames"

    /// Whether the broker keeps the last record of every key for ever, so that a reader can load the present state.
    public var compacted: Bool {
        switch self {
        case .authRevocations, .authBlacklist, .knowledgeConfigs: true
        default: false
        }
    }

    /// How many consumers can share the work. Only ever grows: shrinking would reorder keys.
    public var partitions: Int {
        switch self {
        case .telephonyCalls, .qaScores: 12
        case .telephonyCommands, .billingUsage: 6
        // One order for all frames: a gateway takes none that is older than one it has had (docs/decisions/0005).
        case .authRevocations, .authBlacklist, .knowledgeConfigs, .realtimeFrames: 1
        default: 3
        }
    }

    /// Where events go whose handler failed on their content.
    public var deadLetters: String { rawValue + ".dead" }
}
