/// Quoted JSON strings from UTF-8.
enum JSONEscapes {
    /// `writePlain` copies whole words, so it may touch this many bytes after the end.
    static let slack = 8

    /// Copies a text that needs no escapes, with its quotes, and returns the length; 0 when it does need some.
    /// Eight bytes are looked at together.
    static func writePlain(_ text: UnsafeBufferPointer<UInt8>, to out: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let count = text.count
        let raw = UnsafeRawBufferPointer(text)
        let target = UnsafeMutableRawBufferPointer(out)
        out[0] = UInt8(ascii: "\"")
        var at = 0
        while at + 8 <= count {
            let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if needsEscape(word) { return 0 }
            target.storeBytes(of: word, toByteOffset: at + 1, as: UInt64.self)
            at += 8
        }
        while at < count {
            let byte = text[at]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C { return 0 }
            out[at + 1] = byte
            at += 1
        }
        out[count + 1] = UInt8(ascii: "\"")
        return count + 2
    }

    /// Whether one of the eight bytes is a quote, a backslash or below 0x20. A false alarm would only cost time, but
    /// there is none: bytes above 0x7F are masked out.
    @inline(__always)
    private static func needsEscape(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        let quote = word ^ (ones &* 0x22)
        let slash = word ^ (ones &* 0x5C)
        let hits = (word &- ones &* 0x20) | (quote &- ones) | (slash &- ones)
        return hits & ~word & tops != 0
    }

    static func writeEscaped(_ text: UnsafeBufferPointer<UInt8>, to out: UnsafeMutableBufferPointer<UInt8>) -> Int {
        var at = 0
        func put(_ byte: UInt8) {
            out[at] = byte
            at += 1
        }
        put(UInt8(ascii: "\""))
        for byte in text {
            switch byte {
            case 0x22, 0x5C:
                put(UInt8(ascii: "\\"))
                put(byte)
            case 0x0A:
                put(UInt8(ascii: "\\"))
                put(UInt8(ascii: "n"))
            case 0x0D:
                put(UInt8(ascii: "\\"))
                put(UInt8(ascii: "r"))
            case 0x09:
                put(UInt8(ascii: "\\"))
                put(UInt8(ascii: "t"))
            case 0..<0x20:
                for letter in "\\u00".utf8 { put(letter) }
                put(Hex.digit(byte >> 4))
                put(Hex.digit(byte & 15))
            default: put(byte)
            }
        }
        put(UInt8(ascii: "\""))
        return at
    }
}
