import HTTP
import Runtime
import Shared

/// Puts one answer together out of several programs' parts. All are asked at once, none may hold up the rest: a part that
/// does not answer in time is missing, and the answer says so.
struct Composer: Sendable {
    /// One program's share.
    struct Part: Sendable {
        let owner: Owner
        let path: String

        init(_ owner: Owner, _ path: String) {
            self.owner = owner
            self.path = path
        }
    }

    enum Answer: Sendable {
        case answered(JSON)
        /// The program answered that there is no such thing, or that it must not be asked.
        case refused(Int)
        /// Nothing came in time.
        case silent

        var json: JSON? { if case .answered(let json) = self { json } else { nil } }
    }

    /// How long a person waits for a page whose slowest part is not coming.
    static let within = Duration.milliseconds(1500)

    /// One request to one replica: its status and its content.
    private let fetch: @Sendable (Owner, _ path: String, Duration) async throws -> (status: Int, json: JSON?)

    init(_ fetch: @escaping @Sendable (Owner, String, Duration) async throws -> (status: Int, json: JSON?)) {
        self.fetch = fetch
    }

    /// Over the programs' addresses; a replica that is not there is passed over within the time there is.
    static func live(_ urls: @escaping @Sendable (Owner) -> [String], client: Client) -> Composer {
        Composer { owner, path, within in
            let deadline = ContinuousClock.now + within
            var failure: any Error = Problem(.upstreamUnavailable)
            for url in urls(owner) {
                let left = ContinuousClock.now.duration(to: deadline)
                guard left > .zero else { break }
                var request = ClientRequest.get(url + path)
                request.timeout = left
                do {
                    let response = try await client.send(request)
                    if response.status >= 500 { continue }
                    return (response.status, response.isSuccess ? try response.json() : nil)
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    failure = error
                }
            }
            throw failure
        }
    }

    /// The answers, in the order of the parts.
    func ask(_ parts: [Part]) async -> [Answer] {
        await withTaskGroup(of: (Int, Answer).self) { group in
            for (place, part) in parts.enumerated() {
                group.addTask { (place, await one(part)) }
            }
            var answers = [Answer](repeating: .silent, count: parts.count)
            for await (place, answer) in group { answers[place] = answer }
            return answers
        }
    }

    private func one(_ part: Part) async -> Answer {
        do {
            let found = try await withDeadline(Self.within) { try await fetch(part.owner, part.path, Self.within) }
            return found.json.map(Answer.answered) ?? .refused(found.status)
        } catch {
            return .silent
        }
    }
}
