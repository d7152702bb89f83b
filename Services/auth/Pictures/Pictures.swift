import CGD
import Glibc
import Runtime

/// Makes small square pictures of whatever people send: turned upright, cut to the middle, and written anew, so that
/// nothing of the file they sent (places, names, comments, hidden parts) is left.
///
/// Files are decoded in a process of its own (``decode()``): decoders of picture formats are where programs get broken
/// into, and that process has nothing to take.
public struct Pictures: Sendable {
    /// Side lengths of what is made, in pixels.
    public static let sides = [256, 64]
    public static let bytesMax = 5 << 20
    /// 24 megapixels: 96 MB once decoded, twice that for a moment in a WebP.
    public static let pixelsMax = 24_000_000
    private static let sideMax = 12_000

    /// Why a file becomes no picture.
    public enum Refusal: Error, Sendable, Hashable {
        case unknownFormat
        case animated
        case tooManyPixels
        case damaged
    }

    private let worker: Worker

    /// - Parameter program: whose command `picture` decodes; this very program in service.
    public init(pool: Blocking, program: String = "/proc/self/exe") {
        worker = Worker(
            path: program, command: "picture", pool: pool, timeMax: .seconds(10),
            outputMax: Self.sides.reduce(0) { $0 + $1 * $1 * 8 + 65_536 })
    }

    /// WebP pictures by their side length.
    /// - Throws: ``Refusal``; ``Blocking/Full``; ``Worker/Failure`` when the process could not be started.
    public func squares(of file: [UInt8]) async throws -> [(side: Int, webp: [UInt8])] {
        _ = try Self.admit(file)
        let output: [UInt8]
        do {
            output = try await worker.run(file)
        } catch let failure as Worker.Failure {
            // It said so, or hit one of its limits, or crashed: all the file's fault. Not having started is ours.
            if case .notStarted = failure { throw failure }
            throw Refusal.damaged
        }
        return try Self.unpack(output)
    }

    /// What may be decoded at all, by its header.
    static func admit(_ file: [UInt8]) throws(Refusal) -> PictureHeader {
        guard let header = PictureHeader(file) else { throw .unknownFormat }
        if header.isAnimated { throw .animated }
        if header.isCutOff { throw .damaged }
        guard header.width <= sideMax, header.height <= sideMax, header.width * header.height <= pixelsMax else {
            throw .tooManyPixels
        }
        return header
    }

    // MARK: In the other process

    private static let memoryMax = 1 << 30
    private static let secondsMax = 8
    /// sysexits.h: the input was at fault.
    private static let dataError: Int32 = 65

    /// The whole of the command `picture`: a file on standard input, the squares on standard output. Returns the exit
    /// status.
    public static func decode() -> Int32 {
        Confinement.enter(memory: memoryMax, seconds: secondsMax)
        let file = Confinement.input()
        guard file.count <= bytesMax, let header = try? admit(file), let squares = squares(file, header) else {
            return dataError
        }
        return Confinement.output(pack(squares)) ? 0 : 1
    }

    private static func pack(_ pictures: [[UInt8]]) -> [UInt8] {
        pictures.flatMap { picture in
            [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: picture.count >> $0) } + picture
        }
    }

    private static func unpack(_ output: [UInt8]) throws(Refusal) -> [(side: Int, webp: [UInt8])] {
        var rest = output[...]
        var found: [(side: Int, webp: [UInt8])] = []
        for side in sides {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard rest.count >= 4, length > 0, rest.count - 4 >= length else { throw .damaged }
            found.append((side, Array(rest.dropFirst(4).prefix(length))))
            rest = rest.dropFirst(4 + length)
        }
        guard rest.isEmpty else { throw .damaged }
        return found
    }

    private static func squares(_ file: [UInt8], _ header: PictureHeader) -> [[UInt8]]? {
        var file = file
        let size = Int32(file.count)
        let whole = file.withUnsafeMutableBytes { bytes in
            switch header.format {
            case .png: gdImageCreateFromPngPtr(size, bytes.baseAddress)
            case .jpeg: gdImageCreateFromJpegPtrEx(size, bytes.baseAddress, 0)
            case .webp: gdImageCreateFromWebpPtr(size, bytes.baseAddress)
            }
        }
        guard let whole else { return nil }
        defer { gdImageDestroy(whole) }
        let made = sides.compactMap { square(whole, side: Int32($0), orientation: header.orientation) }
        return made.count == sides.count ? made : nil
    }

    private static func square(_ whole: gdImagePtr, side: Int32, orientation: Int) -> [UInt8]? {
        let (width, height) = (whole.pointee.sx, whole.pointee.sy)
        let edge = min(width, height)
        guard edge > 0, let small = gdImageCreateTrueColor(side, side) else { return nil }
        defer { gdImageDestroy(small) }
        gdImageAlphaBlending(small, 0)
        gdImageSaveAlpha(small, 1)
        gdImageCopyResampled(
            small, whole, 0, 0, (width - edge) / 2, (height - edge) / 2, side, side, edge, edge)
        guard let upright = turned(small, side: side, orientation: orientation) else { return nil }
        defer { gdImageDestroy(upright) }
        var size: Int32 = 0
        guard let written = gdImageWebpPtrEx(upright, &size, 85), size > 0 else { return nil }
        defer { gdFree(written) }
        return Array(UnsafeRawBufferPointer(start: written, count: Int(size)))
    }

    /// The square as it is meant to be seen (EXIF 2.32, `Orientation`).
    private static func turned(_ square: gdImagePtr, side: Int32, orientation: Int) -> gdImagePtr? {
        guard let upright = gdImageCreateTrueColor(side, side) else { return nil }
        gdImageAlphaBlending(upright, 0)
        gdImageSaveAlpha(upright, 1)
        let last = side - 1
        for y in 0..<side {
            for x in 0..<side {
                let (fromX, fromY): (Int32, Int32) =
                    switch orientation {
                    case 2: (last - x, y)
                    case 3: (last - x, last - y)
                    case 4: (x, last - y)
                    case 5: (y, x)
                    case 6: (y, last - x)
                    case 7: (last - y, last - x)
                    case 8: (last - y, x)
                    default: (x, y)
                    }
                gdImageSetPixel(upright, x, y, gdImageGetTrueColorPixel(square, fromX, fromY))
            }
        }
        return upright
    }
}
