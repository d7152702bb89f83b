import CTLS
import Shared

/// The opening handshake (RFC 6455 §4), both sides. Pure but for the digest.
enum WebSocketHandshake {
    enum Answer {
        case accepted(Response)
        case refused(Response)
    }

    /// What a server answers; `extra` are fields the handler wants in the 101.
    static func answer(_ head: RequestHead, _ wish: WebSocketUpgrade, _ extra: Headers) -> Answer {
        let headers = head.headers
        guard head.method == .get, head.minorVersion == 1, head.asksUpgrade,
            headers.list("Upgrade", contains: "websocket")
        else {
            var response = Response.refusal(Refusal(426, "This address speaks WebSocket only."))
            response.headers.add("Upgrade", "websocket")
            response.headers.add("Connection", "Upgrade")
            return .refused(response)
        }
        guard headers.count(of: "Sec-WebSocket-Version") == 1, headers["Sec-WebSocket-Version"] == "13" else {
            var response = Response.refusal(Refusal(426, "Only WebSocket version 13 is spoken here."))
            response.headers.add("Sec-WebSocket-Version", "13")
            return .refused(response)
        }
        guard head.framing == .none, headers.count(of: "Sec-WebSocket-Key") == 1,
            let key = headers["Sec-WebSocket-Key"], isKey(key)
        else { return .refused(.refusal(Refusal(400, "Sec-WebSocket-Key is not 16 bytes in base64."))) }
        if let origins = wish.origins, let origin = headers["Origin"], !origins.contains(origin) {
            return .refused(.refusal(Refusal(403, "This origin is not let in.")))
        }
        var response = Response(status: 101, headers: extra)
        response.headers.set("Upgrade", "websocket")
        response.headers.set("Connection", "Upgrade")
        response.headers.set("Sec-WebSocket-Accept", accept(key))
        // A sub-protocol that the client did not offer would make it hang up.
        if let name = wish.subprotocol, headers.list("Sec-WebSocket-Protocol", contains: name) {
            response.headers.set("Sec-WebSocket-Protocol", name)
        }
        return .accepted(response)
    }

    /// base64(SHA-1(key + the GUID of RFC 6455 §1.3)). It proves that the server read this handshake, nothing more.
    static func accept(_ key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        var count: UInt32 = 20
        _ = EVP_Digest(text, text.count, &digest, &count, EVP_sha1(), nil)
        return base64(digest)
    }

    static func base64(_ bytes: [UInt8]) -> String {
        // Four characters for each three bytes, and the NUL that OpenSSL appends.
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = Int(EVP_EncodeBlock(&text, bytes, Int32(bytes.count)))
        return String(decoding: text[..<count], as: UTF8.self)
    }

    /// 22 characters of base64 and its padding: 16 bytes.
    private static func isKey(_ key: String) -> Bool {
        let octets = Array(key.utf8)
        guard octets.count == 24, octets[22] == UInt8(ascii: "="), octets[23] == UInt8(ascii: "=") else { return false }
        return octets[..<22].allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// A client's request.
    static func request(_ target: String, host: String, key: String, headers: Headers, protocols: [String]) -> [UInt8] {
        var fields = headers
        fields.set("Host", host)
        fields.set("Upgrade", "websocket")
        fields.set("Connection", "Upgrade")
        fields.set("Sec-WebSocket-Version", "13")
        fields.set("Sec-WebSocket-Key", key)
        if !protocols.isEmpty { fields.set("Sec-WebSocket-Protocol", protocols.joined(separator: ", ")) }
        let line = "GET \(target) HTTP/1.1\r\n"
        return [UInt8](unsafeUninitializedCapacity: line.utf8.count + fields.writtenMax + 2) { memory, count in
            var pen = Pen(memory)
            pen.put(line)
            fields.write(to: &pen)
            pen.line()
            count = pen.count
        }
    }

    /// Whether the server's head completes the handshake (RFC 6455 §4.1); the reason if it does not.
    static func objection(to head: ResponseHead, key: String, protocols: [String]) -> String? {
        guard head.status == 101 else { return "The server answered \(head.status)." }
        guard head.headers.list("Upgrade", contains: "websocket"), head.headers.list("Connection", contains: "upgrade")
        else { return "The server upgrades to something else." }
        guard head.headers["Sec-WebSocket-Accept"] == accept(key) else { return "The server did not read the key." }
        if head.headers.contains("Sec-WebSocket-Extensions") { return "The server uses an extension nobody offered." }
        if let name = head.headers["Sec-WebSocket-Protocol"], !protocols.contains(name) {
            return "The server speaks a protocol nobody offered."
        }
        return nil
    }
}
