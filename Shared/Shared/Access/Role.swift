/// What a person is to the whole system.
public enum Role: String, CaseIterable, Sendable, JSONWritable {
    case admin, user, agent
}

/// What a member may do in one workspace, from most to least.
public enum WorkspaceRole: String, CaseIterable, Sendable, Comparable, JSONWritable {
    case owner, manager, agent, viewer

    private var rank: Int {
        switch self {
        case .owner: 3
        case .manager: 2
        case .agent: 1
        case .viewer: 0
        }
    }

    public static func < (a: WorkspaceRole, b: WorkspaceRole) -> Bool { a.rank < b.rank }
}
