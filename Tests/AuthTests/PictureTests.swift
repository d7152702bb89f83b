import Pictures
import Runtime
import Testing

@testable import Auth
@testable import Pictures

/// Headers by hand; whole pictures of every kind are sent through the gateway in Tests/acceptance/test_personal.py.
@Suite struct PictureTests {
    private static func png(_ width: Int, _ height: Int, animated: Bool = false) -> [UInt8] {
        func big(_ number: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }
        func chunk(_ kind: String, _ body: [UInt8]) -> [UInt8] { big(body.count) + Array(kind.utf8) + body + big(0) }
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
            + chunk("IHDR", big(width) + big(height) + [8, 2, 0, 0, 0])
            + (animated ? chunk("acTL", big(2) + big(0)) : []) + chunk("IEND", [])
    }

    private static func jpeg(_ width: Int, _ height: Int, orientation: Int) -> [UInt8] {
        func big(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
        let tiff: [UInt8] =
            Array("MM".utf8) + [0, 42, 0, 0, 0, 8, 0, 1] + [0x01, 0x12, 0, 3, 0, 0, 0, 1] + big(orientation) + [0, 0]
        let exif = Array("Exif".utf8) + [0, 0] + tiff
        return [0xFF, 0xD8, 0xFF, 0xE1] + big(exif.count + 2) + exif + [0xFF, 0xC2] + big(17) + [8] + big(height)
            + big(width) + [3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1] + [0xFF, 0xD9]
    }

    @Test func `sizes and orientations are read from headers`() throws {
        let png = try #require(PictureHeader(Self.png(300, 200)))
        #expect(png.format == .png && png.width == 300 && png.height == 200 && !png.isAnimated)
        #expect(PictureHeader(Self.png(3, 2, animated: true))?.isAnimated == true)
        for orientation in 1...8 {
            let jpeg = try #require(PictureHeader(Self.jpeg(640, 480, orientation: orientation)))
            #expect(jpeg.width == 640 && jpeg.height == 480 && jpeg.orientation == orientation && !jpeg.isCutOff)
            #expect(PictureHeader(Array(Self.jpeg(640, 480, orientation: orientation).dropLast(2)))?.isCutOff == true)
        }
        let lossless: [UInt8] =
            Array("RIFF".utf8) + [30, 0, 0, 0] + Array("WEBPVP8L".utf8) + [5, 0, 0, 0, 0x2F, 0x7F, 0xC0, 0x18, 0, 0]
        let webp = try #require(PictureHeader(lossless))
        #expect(webp.format == .webp && webp.width == 128 && webp.height == 100)
    }

    @Test func `a header cut off anywhere, or with any byte changed, is no crash`() {
        for whole in [Self.png(300, 200, animated: true), Self.jpeg(640, 480, orientation: 6)] {
            for length in whole.indices { _ = PictureHeader(Array(whole[..<length])) }
            for place in whole.indices {
                for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
                    var changed = whole
                    changed[place] = value
                    _ = PictureHeader(changed)
                }
            }
        }
    }

    @Test func `what is too large, moving or no picture never reaches a decoder`() async throws {
        let pictures = Pictures(pool: Blocking(threads: 1, queueMax: 4), program: "/nonexistent/program")
        for (file, refusal) in [
            (Self.png(30_000, 30_000), Pictures.Refusal.tooManyPixels), (Self.png(12_001, 1), .tooManyPixels),
            (Self.png(3, 2, animated: true), .animated), (Array("GIF89a".utf8), .unknownFormat), ([], .unknownFormat),
        ] {
            await #expect(throws: refusal) { _ = try await pictures.squares(of: file) }
        }
    }

    @Test func `a damaged file is refused by the process that decodes it`() async throws {
        let pictures = Pictures(pool: Blocking(threads: 1, queueMax: 4), program: authProgram)
        await #expect(throws: Pictures.Refusal.damaged) { _ = try await pictures.squares(of: Self.png(3, 2)) }
    }

    @Test func `a process that hangs is killed, one that writes too much too`() async throws {
        let pool = Blocking(threads: 2, queueMax: 4)
        let hanging = Worker(
            path: "/bin/sleep", command: "30", pool: pool, timeMax: .milliseconds(200), outputMax: 10)
        await #expect(throws: Worker.Failure.timeout) { _ = try await hanging.run([1]) }
        let talking = Worker(path: "/usr/bin/yes", command: "y", pool: pool, timeMax: .seconds(5), outputMax: 1000)
        await #expect(throws: Worker.Failure.tooMuchOutput) { _ = try await talking.run([]) }
        let missing = Worker(
            path: "/nonexistent", command: "x", pool: pool, timeMax: .seconds(5), outputMax: 1000)
        await #expect(throws: Worker.Failure.notStarted(2)) { _ = try await missing.run([]) }
        // A megabyte there and back, more than the pipes hold.
        let echo = Worker(path: "/bin/cat", command: "-", pool: pool, timeMax: .seconds(5), outputMax: 2 << 20)
        let long = [UInt8](repeating: 7, count: 1 << 20)
        #expect(try await echo.run(long) == long)
    }
}
