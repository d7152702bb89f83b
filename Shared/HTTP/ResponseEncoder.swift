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
        let status = StatusLine.bytes(response.status)
        // What delimits the message and concerns this hop is the server's to say.
        var without = FieldNames(.transferEncoding)
        if !keepLength { without.note(.contentLength) }
        if case .upgrade = connection {} else { without.note(.connection) }
        let most = status.count + response.headers.writtenMax + Self.ownMax
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: most) { memory in
            var pen = Pen(memory)
            pen.put(status)
            response.headers.write(without: without, to: &pen)
            if !response.headers.kinds.has(.date) { pen.put(dateField()) }
            switch delimiter {
            case .none, .close: break
            case .length(let count):
                pen.put("Content-Length: ")
                pen.put(decimal: count)
                pen.line()
            case .chunked: pen.put("Transfer-Encoding: chunked\r\n")
            }
            switch connection {
            case .keep, .upgrade: break
            case .keepSaid: pen.put("Connection: keep-alive\r\n")
            case .close: pen.put("Connection: close\r\n")
            }
            pen.line()
            output.append(contentsOf: pen.written)
        }
    }

    /// What is written beside the status line and the response's own fields: at most 37 bytes of Date, 38 of
    /// Content-Length, 24 of Connection and the empty line.
    private static let ownMax = 128

    /// `Date: Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), made once a second.
    private func dateField() -> [UInt8] {
        let now = time(nil)
        if now != second {
            second = now
            date = Array("Date: \(HTTPDate.text(now))\r\n".utf8)
        }
        return date
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
