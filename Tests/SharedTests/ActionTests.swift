import Foundation
import Shared
import Testing

@Suite struct ActionTests {
    private static let here = WorkspaceID()
    private static let elsewhere = WorkspaceID()

    private static func person(
        _ role: Role = .user, staff: Bool = false, member: WorkspaceRole? = nil
    ) -> Principal {
        Principal(
            user: UserID(), role: role, staff: staff, workspaces: member.map { [here: $0] } ?? [:],
            expires: .now() + .seconds(60))
    }

    private static func may(_ body: () throws(Problem) -> Void) -> Bool {
        do {
            try body()
            return true
        } catch { return false }
    }

    @Test func `the page about permissions shows the table that is compiled`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/permissions.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }.map(String.init)
        #expect(
            rows
                == Action.allCases.map { action in
                    let grant = action.grant
                    return "| `\(action.rawValue)` | \(grant.isForOneself ? "yes" : "") "
                        + "| \(grant.leastRole?.rawValue ?? "") | \(grant.isForStaff ? "yes" : "") |"
                })
    }

    @Test(arguments: Action.allCases) func `an action is open to those its grant names and to nobody else`(
        _ action: Action
    ) {
        let grant = action.grant
        for role in WorkspaceRole.allCases {
            let member = Self.person(member: role)
            let covers = grant.leastRole.map { role >= $0 } ?? false
            #expect(Self.may { () throws(Problem) in try member.require(action, in: Self.here) } == covers)
            #expect(!Self.may { () throws(Problem) in try member.require(action, in: Self.elsewhere) })
            #expect(member.tenancy(for: action).contains(Self.here) == covers)
            #expect(!member.tenancy(for: action).contains(Self.elsewhere))
        }
        let stranger = Self.person()
        #expect(
            Self.may { () throws(Problem) in try stranger.require(action, of: stranger.user) } == grant.isForOneself)
        #expect(!Self.may { () throws(Problem) in try stranger.require(action, of: UserID()) })
        let staff = Self.person(staff: true)
        #expect(Self.may { () throws(Problem) in try staff.require(action, in: Self.elsewhere) } == grant.isForStaff)
        #expect(Self.may { () throws(Problem) in try staff.require(action, of: UserID()) } == grant.isForStaff)
        let admin = Self.person(.admin)
        #expect(Self.may { () throws(Problem) in try admin.require(action, in: Self.elsewhere) })
        #expect(Self.may { () throws(Problem) in try admin.require(action, of: UserID()) })
        #expect(admin.tenancy(for: action) == .all)
    }

    /// The router asks this before it knows the thing: it must never turn away who may do it to something.
    @Test(arguments: Action.allCases) func `the router's question turns away only those who can do it to nothing`(
        _ action: Action
    ) {
        for role in WorkspaceRole.allCases {
            let member = Self.person(member: role)
            if Self.may({ () throws(Problem) in try member.require(action, in: Self.here) }) {
                #expect(Self.may { () throws(Problem) in try member.require(action) })
            }
        }
        let nobody = Self.person()
        let opens = action.grant.isForOneself || action.grant.leastRole == .viewer
        #expect(Self.may { () throws(Problem) in try nobody.require(action) } == opens)
    }
}
