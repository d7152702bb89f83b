import Glibc

/// Turns a response's head into bytes. One per loop: it keeps the `Date` field of the present second.
final class ResponseEncoder {
    private var second: time_t = 0
    private var date: [UInt8] = []

    /// How the content behind the head is delimited.
    enum Delimiter {
        case none
        case length(Int)
        case chunked
        /// HTTP/1.0 and unknown length: the end of the connection is the end of the content.
        case close
    }

    /// What the head says about the connection.
    enum Connection {
        case keep
        /// HTTP/1.0 wants it said.
        case keepSaid
        case close
        /// The response's own `Connection` and `Upgrade` fields go out as they are.
        case upgrade
    }

    func encode(
        _ response: Response, _ delimiter: Delimiter, _ connection: Connection, keepLength: Bool = false,
        into output: inout [UInt8]
    ) {
        output.append(contentsOf: StatusLine.bytes(response.status))
        var hasDate = false
        let headers = response.headers
        headers.bytes.withUnsafeBufferPointer { bytes in
            for slot in headers.slots {
                let name = Int(slot.name)..<Int(slot.name) + Int(slot.nameLength)
                // What delimits the message and concerns this hop is the server's to say.
                switch slot.nameLength {
                case 4 where Known.equals(bytes, name, "date"): hasDate = true
                case 10 where Known.equals(bytes, name, "connection"):
                    if case .upgrade = connection { break }
                    continue
                case 14 where Known.equals(bytes, name, "content-length"): if !keepLength { continue }
                case 17 where Known.equals(bytes, name, "transfer-encoding"): continue
                default: break
                }
                output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[name]))
                output.append(58)
                output.append(32)
                output.append(
                    contentsOf: UnsafeBufferPointer(
                        rebasing: bytes[Int(slot.value)..<Int(slot.value + slot.valueLength)]))
                output.append(13)
                output.append(10)
            }
        }
        if !hasDate { writeDate(into: &output) }
        switch delimiter {
        case .none, .close: break
        case .length(let count):
            output.append(contentsOf: Text.length)
            Self.append(decimal: count, to: &output)
            output.append(13)
            output.append(10)
        case .chunked: output.append(contentsOf: Text.chunked)
        }
        switch connection {
        case .keep, .upgrade: break
        case .keepSaid: output.append(contentsOf: Text.keepAlive)
        case .close: output.append(contentsOf: Text.close)
        }
        output.append(13)
        output.append(10)
    }

    private enum Text {
        static let length = Array("Content-Length: ".utf8)
        static let chunked = Array("Transfer-Encoding: chunked\r\n".utf8)
        static let close = Array("Connection: close\r\n".utf8)
        static let keepAlive = Array("Connection: keep-alive\r\n".utf8)
    }

    /// `Date: Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), made once a second.
    private func writeDate(into output: inout [UInt8]) {
        let now = time(nil)
        if now != second {
            second = now
            date = Array("Date: \(HTTPDate.text(now))\r\n".utf8)
        }
        output.append(contentsOf: date)
    }

    static func append(decimal value: Int, to output: inout [UInt8]) {
        if value >= 10 { append(decimal: value / 10, to: &output) }
        output.append(48 + UInt8(value % 10))
    }
}

/// The date format of HTTP (RFC 9110 §5.6.7).
public enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `seconds` since 1970.
    public static func text(_ seconds: Int) -> String {
        var when = time_t(seconds)
        var parts = tm()
        gmtime_r(&when, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let day = "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)])"
        return "\(day) \(parts.tm_year + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}

enum StatusLine {
    private static let lines: [[UInt8]] = (100...599).map {
        Array("HTTP/1.1 \($0) \(Response.reason($0))\r\n".utf8)
    }

    /// A status outside of 100–599 is a handler's mistake and goes out as 500.
    static func bytes(_ status: Int) -> [UInt8] {
        (100...599).contains(status) ? lines[status - 100] : lines[400]
    }
}
