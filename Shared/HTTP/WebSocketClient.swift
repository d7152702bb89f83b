import Runtime
import Shared

extension WebSocket {
    /// Why a connection could not be opened.
    public struct Refused: Error, Sendable, CustomStringConvertible {
        /// The status of the answer; nil when there was none.
        public let status: Int?
        public let description: String

        init(_ status: Int? = nil, _ description: String) {
            self.status = status
            self.description = description
        }
    }

    /// Opens a WebSocket to a `ws://` or `wss://` URL on the current loop. `trusting` is a PEM file of authorities for
    /// `wss`, the system's when nil. Throws ``Refused``, or what connecting throws.
    public static func connect(
        url: String, headers: Headers = Headers(), protocols: [String] = [], limits: Limits = Limits(),
        trusting authorities: String? = nil, deadline: Duration = .seconds(10)
    ) async throws -> WebSocket {
        guard let address = Address(url) else { throw Refused(nil, "Not a ws:// or wss:// URL.") }
        return try await withDeadline(deadline) {
            let socket = try await Socket.connect(host: address.host, port: address.port, deadline: deadline)
            let transport: Transport
            do {
                let tls =
                    address.isSecure
                    ? try TLSSession(client: TLS.Context(clientTrusting: authorities), host: address.host) : nil
                transport = Transport(socket, tls: tls)
            } catch {
                socket.close()
                throw error
            }
            do {
                try await transport.handshake()
                return try await open(transport, address, headers, protocols, limits)
            } catch {
                transport.close()
                throw error
            }
        }
    }

    private static func open(
        _ transport: Transport, _ address: Address, _ headers: Headers, _ protocols: [String], _ limits: Limits
    ) async throws -> WebSocket {
        let key = WebSocketHandshake.base64((0..<16).map { _ in UInt8.random(in: 0...255) })
        try await transport.write(
            WebSocketHandshake.request(
                address.target, host: address.authority, key: key, headers: headers, protocols: protocols))
        var parser = ResponseParser()
        var received: [UInt8] = []
        while let bytes = try await transport.read() {
            received += bytes
            switch parser.parse(received, method: .get) {
            case .incomplete: continue
            case .refused(let refusal): throw Refused(nil, refusal.reason)
            case .head(let head, let consumed):
                if let objection = WebSocketHandshake.objection(to: head, key: key, protocols: protocols) {
                    throw Refused(head.status, objection)
                }
                return WebSocket(
                    transport, role: .client, leftover: Array(received[consumed...]),
                    subprotocol: head.headers["Sec-WebSocket-Protocol"], limits: limits)
            }
        }
        throw Refused(nil, "The server closed during the handshake.")
    }

    /// The parts of a WebSocket URL (RFC 6455 §3).
    struct Address {
        let isSecure: Bool
        let host: String
        let port: Int
        /// As it stands in the `Host` field.
        let authority: String
        let target: String

        init?(_ url: String) {
            let rest: Substring
            if url.lowercased().hasPrefix("ws://") {
                isSecure = false
                rest = url.dropFirst(5)
            } else if url.lowercased().hasPrefix("wss://") {
                isSecure = true
                rest = url.dropFirst(6)
            } else {
                return nil
            }
            let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
            let authority = rest[..<end]
            guard !authority.isEmpty, !authority.contains("@"), authority.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
            else {
                return nil
            }
            self.authority = String(authority)
            let path = rest[end...].prefix { $0 != "#" }
            target = path.first == "/" ? String(path) : "/" + path
            guard target.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else { return nil }
            var name = authority
            var number: Substring?
            if authority.first == "[", let close = authority.firstIndex(of: "]") {
                name = authority[authority.index(after: authority.startIndex)..<close]
                let tail = authority[authority.index(after: close)...]
                if tail.first == ":" { number = tail.dropFirst() } else if !tail.isEmpty { return nil }
            } else if let colon = authority.lastIndex(of: ":") {
                name = authority[..<colon]
                number = authority[authority.index(after: colon)...]
            }
            guard !name.isEmpty else { return nil }
            host = String(name)
            guard let port = number.map({ Int($0) }) ?? (isSecure ? 443 : 80), (1...65535).contains(port) else {
                return nil
            }
            self.port = port
        }
    }
}
