import HTTP
import Runtime
import Shared

/// Who else needs a business configuration: what telephony runs on it. Asked before one is deleted
/// (docs/decisions/0020). A closure, so that tests need no other program.
struct ConfigUsers: Sendable {
    struct Count: Sendable, Hashable {
        var aiAgents = 0
        var phoneNumbers = 0
        var liveCalls = 0
    }

    var count: @Sendable (BusinessID, WorkspaceID) async throws -> Count

    static let none = ConfigUsers { _, _ in Count() }

    private static let within: Duration = .seconds(3)

    /// Over telephony's `/internal/businesses/{business_id}/use`; each replica is tried once.
    static func remote(_ urls: [String], client: Client) -> ConfigUsers {
        ConfigUsers { business, workspace in
            var last: (any Error)?
            for url in urls {
                do {
                    var request = ClientRequest.get(
                        "\(url)/internal/businesses/\(business.text)/use?workspace_id=\(workspace.text)")
                    request.timeout = within
                    let response = try await client.send(request)
                    guard response.isSuccess, let count = Count(try response.json()) else { continue }
                    return count
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    last = error
                }
            }
            throw Problem.unavailable(
                "It cannot be told now whether calls need this configuration; try again in a moment.", cause: last)
        }
    }
}

extension ConfigUsers.Count {
    init?(_ json: JSON) {
        guard let agents = json["ai_agents"]?.int, let numbers = json["phone_numbers"]?.int,
            let calls = json["live_calls"]?.int
        else { return nil }
        self.init(aiAgents: agents, phoneNumbers: numbers, liveCalls: calls)
    }
}
