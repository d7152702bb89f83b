import Runtime
import Shared

extension Response {
    /// 200 with one value.
    public static func json(_ value: some JSONWritable) -> Response { json(200, value) }

    /// A problem in the family's shape.
    public static func problem(_ problem: Problem, family: Route.Family) -> Response {
        var response = Response.json(problem.status) { json in
            if family == .classic { problem.writeClassic(to: &json) } else { problem.writeManager(to: &json) }
        }
        for (name, value) in problem.headers { response.headers.set(name, value) }
        return response
    }
}

extension Problem {
    /// What a client is told of anything a handler may throw.
    init(told error: any Error) {
        switch error {
        case let problem as Problem: self = problem
        case let large as Body.TooLarge: self = .payloadTooLarge(max: large.max)
        case let abort as Body.Abort:
            self =
                abort.status == 408
                ? Problem(.requestTimeout, abort.reason, cause: error)
                : Problem(.badRequest, abort.reason, cause: error)
        case is DeadlineExceeded:
            self = Problem(.deadlineExceeded, "No answer was ready in time; try again.", cause: error)
        case is Blocking.Full:
            self = .unavailable("Too many are waiting for this at the moment; try again in a second.", cause: error)
        // The connection or the program is going; whoever still listens may try another replica.
        case is CancellationError: self = .unavailable(cause: error)
        default: self = .internalError(error)
        }
    }
}
