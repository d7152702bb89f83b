/// What a picture file says of itself before anything of it is decoded: read with bounds checks only, so that it is safe
/// in a program with secrets.
public struct PictureHeader: Sendable, Hashable {
    public enum Format: String, Sendable { case png, jpeg, webp }

    public var format: Format
    public var width: Int
    public var height: Int
    public var isAnimated = false
    /// EXIF's `Orientation`, 1…8.
    public var orientation = 1
    /// A JPEG without an end. (The other formats' decoders notice by themselves.)
    public var isCutOff = false

    /// nil for anything that is no PNG, JPEG or WebP, or ends within its header.
    public init?(_ bytes: [UInt8]) {
        let file = Bytes(bytes[...])
        if file.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self.init(png: file)
        } else if file.starts(with: [0xFF, 0xD8, 0xFF]) {
            self.init(jpeg: file)
        } else if file.starts(with: Array("RIFF".utf8)), file.text(8, 4) == "WEBP" {
            self.init(webp: file)
        } else {
            return nil
        }
        guard width > 0, height > 0 else { return nil }
    }

    // MARK: PNG (ISO/IEC 15948)

    private init?(png file: Bytes) {
        guard file.text(12, 4) == "IHDR", let width = file.big32(16), let height = file.big32(20) else { return nil }
        format = .png
        (self.width, self.height) = (width, height)
        var at = 8
        while let length = file.big32(at), let kind = file.text(at + 4, 4) {
            if kind == "acTL" { isAnimated = true }
            if kind == "eXIf", let exif = file.slice(at + 8, length) { orientation = Exif.orientation(exif) }
            if kind == "IEND" { break }
            at += 12 + length
        }
    }

    // MARK: JPEG (ITU-T T.81, annex B)

    private init?(jpeg file: Bytes) {
        format = .jpeg
        (width, height) = (0, 0)
        var at = 2
        while file.byte(at) == 0xFF, let marker = file.byte(at + 1) {
            // Fill bytes, and markers without a segment.
            if marker == 0xFF {
                at += 1
                continue
            }
            if marker == 0x01 || (0xD0...0xD8).contains(marker) {
                at += 2
                continue
            }
            if marker == 0xD9 { return }
            guard let length = file.big16(at + 2), length >= 2 else { break }
            if marker == 0xDA {
                // The picture itself. Decoders show what is there of one that was cut off; we do not.
                guard let next = file.markerAfterScan(at + 2 + length) else { break }
                at = next
                continue
            }
            if marker == 0xE1, file.text(at + 4, 4) == "Exif", let exif = file.slice(at + 10, length - 8) {
                orientation = Exif.orientation(exif)
            }
            // Frames: every SOF, which C4 (tables), C8 and CC are not.
            if (0xC0...0xCF).contains(marker), ![0xC4, 0xC8, 0xCC].contains(marker) {
                guard let height = file.big16(at + 5), let width = file.big16(at + 7) else { return nil }
                (self.width, self.height) = (width, height)
            }
            at += 2 + length
        }
        isCutOff = true
    }

    // MARK: WebP (RFC 9649)

    private init?(webp file: Bytes) {
        format = .webp
        (width, height) = (0, 0)
        var at = 12
        while let kind = file.text(at, 4), let length = file.little32(at + 4) {
            let body = at + 8
            switch kind {
            case "VP8X":
                guard let flags = file.byte(body), let width = file.little24(body + 4),
                    let height = file.little24(body + 7)
                else { return nil }
                isAnimated = flags & 0x02 != 0
                (self.width, self.height) = (width + 1, height + 1)
            case "VP8 " where width == 0:
                guard let width = file.little16(body + 6), let height = file.little16(body + 8) else { return nil }
                (self.width, self.height) = (width & 0x3FFF, height & 0x3FFF)
            case "VP8L" where width == 0:
                guard let bits = file.little32(body + 1) else { return nil }
                (width, height) = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            case "ANIM", "ANMF": isAnimated = true
            case "EXIF": if let exif = file.slice(body, length) { orientation = Exif.orientation(exif) }
            default: break
            }
            at = body + length + length % 2
        }
    }
}

/// The one tag of EXIF that changes how a picture looks (TIFF 6.0, tag 274).
enum Exif {
    static func orientation(_ data: Bytes) -> Int {
        // Some writers put the JPEG's introduction into other containers too.
        var tiff = data
        if tiff.text(0, 4) == "Exif", let rest = tiff.slice(6, tiff.count - 6) { tiff = rest }
        let isLittle = tiff.text(0, 2) == "II"
        guard isLittle || tiff.text(0, 2) == "MM" else { return 1 }
        func short(_ at: Int) -> Int? { isLittle ? tiff.little16(at) : tiff.big16(at) }
        func long(_ at: Int) -> Int? { isLittle ? tiff.little32(at) : tiff.big32(at) }
        guard let directory = long(4), let count = short(directory) else { return 1 }
        for entry in 0..<min(count, 512) {
            let at = directory + 2 + entry * 12
            guard let tag = short(at), let value = short(at + 8) else { return 1 }
            if tag == 274 { return (1...8).contains(value) ? value : 1 }
        }
        return 1
    }
}

/// Reads within bounds; what lies outside is nil.
struct Bytes {
    private let bytes: ArraySlice<UInt8>
    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    var count: Int { bytes.count }

    func byte(_ at: Int) -> Int? {
        at >= 0 && at < bytes.count ? Int(bytes[bytes.startIndex + at]) : nil
    }

    func slice(_ at: Int, _ length: Int) -> Bytes? {
        guard at >= 0, length >= 0, at <= bytes.count, length <= bytes.count - at else { return nil }
        return Bytes(bytes[(bytes.startIndex + at)..<(bytes.startIndex + at + length)])
    }

    func starts(with prefix: [UInt8]) -> Bool { bytes.starts(with: prefix) }

    func text(_ at: Int, _ length: Int) -> String? {
        slice(at, length).map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    private func number(_ at: Int, _ length: Int, isBig: Bool) -> Int? {
        guard let part = slice(at, length) else { return nil }
        let digits = isBig ? Array(part.bytes) : part.bytes.reversed()
        return digits.reduce(0) { $0 << 8 | Int($1) }
    }

    /// Where the next marker stands in a JPEG's compressed data: an FF that is no data byte (FF00), no restart (FFD0…D7)
    /// and no fill byte. nil when the file ends before.
    func markerAfterScan(_ at: Int) -> Int? {
        guard at >= 0, at <= bytes.count else { return nil }
        var rest = bytes[(bytes.startIndex + at)...]
        while let mark = rest.firstIndex(of: 0xFF), mark + 1 < bytes.endIndex {
            let next = bytes[mark + 1]
            if next != 0, next != 0xFF, !(0xD0...0xD7).contains(next) { return mark - bytes.startIndex }
            rest = bytes[(next == 0xFF ? mark + 1 : mark + 2)...]
        }
        return nil
    }

    func big16(_ at: Int) -> Int? { number(at, 2, isBig: true) }
    func big32(_ at: Int) -> Int? { number(at, 4, isBig: true) }
    func little16(_ at: Int) -> Int? { number(at, 2, isBig: false) }
    func little24(_ at: Int) -> Int? { number(at, 3, isBig: false) }
    func little32(_ at: Int) -> Int? { number(at, 4, isBig: false) }
}
