import HTTP
import Runtime
import Shared

extension Telephony {
    /// `WS /ws/relay/{token}` — the carrier's end of a conversation. The token names the call and dies with it.
    func serveRelay(_ request: Request) async throws -> Response {
        try verifyHandshake(request)
        guard let id = relayToken.call(of: request.parameter("token")) else { throw Problem.notFound(.callNotFound) }
        guard let call = try await CallStore.find(id, in: database), !call.status.isTerminal else {
            throw Problem.notFound(.callNotFound, "The call is over.")
        }
        return .webSocket { socket in await Conversation.serve(socket, call: id, in: self) }
    }

    private func verifyHandshake(_ request: Request) throws(Problem) {
        guard let signature = request.headers["X-Twilio-Signature"] else {
            if policy.requiresRelaySignature { throw .forbidden("The handshake is not signed by the carrier.") }
            return
        }
        guard let token = policy.authToken,
            WebhookSignature.twilioMatches(
                signature, urls: [links.signedSocket(request.target), links.signed(request.target)], token: token)
        else { throw .forbidden("The handshake is not signed by the carrier.") }
    }
}
