import Shared

/// What this program asks of a telephone carrier. The live one is `Twilio`; tests bring their own closures.
struct Carrier: Sendable {
    /// Places a call and returns the carrier's id of it.
    var dial: @Sendable (Dial) async throws(Failure) -> String
    /// Ends a call, also one that is still ringing. Ending what is over already is no error.
    var hangUp: @Sendable (_ sid: String) async throws(Failure) -> Void
    /// Makes a live call fetch new instructions from this URL.
    var redirect: @Sendable (_ sid: String, _ url: String) async throws(Failure) -> Void
    /// What became of a call; nil when the carrier does not know it.
    var look: @Sendable (_ sid: String) async throws(Failure) -> CarrierReport?
    /// The outbound calls between two numbers since an instant, newest first: how an unanswered `dial` is found again.
    var find: @Sendable (_ from: String, _ to: String, _ since: Instant) async throws(Failure) -> [Placed]

    struct Dial: Sendable, Equatable {
        var from: String
        var to: String
        /// Asked for instructions when somebody answers.
        var instructions: String
        /// Told of every state.
        var status: String
        /// Told who picked up; nil: not asked.
        var answeringMachine: String?
        var ringSeconds = 40
    }

    struct Placed: Sendable, Equatable {
        let report: CarrierReport
        let createdAt: Instant
    }

    enum Failure: Error, Sendable, Equatable {
        /// The carrier said no, for good; nothing was placed. `code` is its own number for the reason.
        case refused(status: Int, code: Int64?, message: String)
        /// The carrier said "not now"; nothing was placed.
        case busy
        /// Nobody knows whether it happened.
        case unknown(String)
    }
}
