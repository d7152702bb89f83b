import Shared
import TestSupport
import Testing

@Suite struct `Instants` {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00.001Z", 1000),
        ("1969-12-31T23:59:59.999Z", -1000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2026-01-02T03:04:05.678Z", 1_767_323_045_678_000),
        ("2026-01-02T03:04:05.678901Z", 1_767_323_045_678_901),
        ("2026-01-02T03:04:05.678901999Z", 1_767_323_045_678_901),
        ("2026-01-02T03:04:05,5Z", 1_767_323_045_500_000),
        ("2026-01-02 03:04:05z", 1_767_323_045_000_000),
        ("2026-01-02T03:04Z", 1_767_323_040_000_000),
        ("2026-01-02T05:04:05+02:00", 1_767_323_045_000_000),
        ("2026-01-02T05:04:05+0200", 1_767_323_045_000_000),
        ("2026-01-02T05:04:05+02", 1_767_323_045_000_000),
        ("2026-01-01T21:34:05-05:30", 1_767_323_045_000_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("2000-02-29", 951_782_400_000_000),
        ("2000-03-01", 951_868_800_000_000),
        ("1900-02-28", -2_203_977_600_000_000),
        ("1900-03-01", -2_203_891_200_000_000),
        ("2100-03-01T00:00:00Z", 4_107_542_400_000_000),
        ("2038-01-19T03:14:08Z", 2_147_483_648_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999_000),
    ])
    func `ISO 8601 is read`(_ text: String, _ microseconds: Int64) throws {
        #expect(try #require(Instant(iso: text)).microseconds == microseconds)
    }

    @Test(arguments: [
        "", "2026", "2026-01", "2026-1-2", "2026-02-29", "2100-02-29", "1900-02-29", "2026-13-01", "2026-00-10",
        "2026-01-00", "2026-04-31", "2026-01-02T", "2026-01-02T03", "2026-01-02T03:04", "2026-01-02T03:04:05",
        "2026-01-02T24:00:00Z", "2026-01-02T03:60:00Z", "2026-01-02T03:04:60Z", "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+02:60",
        "2026-01-02T03:04:05+2", "2026-01-02T03:04:05ZZ", " 2026-01-02", "2026-01-02 ", "2026/01/02", "+2026-01-02",
        "2026-01-02T03:04:05 Z", "２０２６-01-02", "20260102T030405Z", "-001-01-01",
    ])
    func `what is no instant is refused`(_ text: String) {
        #expect(Instant(iso: text) == nil)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (999, "1970-01-01T00:00:00.000Z"),
        (1_709_164_800_000_000, "2024-02-29T00:00:00.000Z"),
        (253_402_300_800_000_000, "+010000-01-01T00:00:00.000Z"),
        (-62_135_596_800_000_001, "0000-12-31T23:59:59.999Z"),
        (-62_167_219_200_000_001, "-000001-12-31T23:59:59.999Z"),
        (Int64.max, "+294247-01-10T04:00:54.775Z"), (Int64.min, "-290308-12-21T19:59:05.224Z"),
    ])
    func `text has milliseconds and Z`(_ microseconds: Int64, _ text: String) {
        #expect(Instant(microseconds: microseconds).iso == text)
    }

    @Test func `every day of four centuries is the day after the one before`() throws {
        var day = try #require(Instant(iso: "1600-01-01"))
        let daysIn = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var (y, m, d) = (1600, 1, 1)
        for _ in 0..<146_097 {
            let civil = day.civil
            guard civil.year == y, civil.month == m, civil.day == d else {
                Issue.record("\(day) is not \(y)-\(m)-\(d)")
                return
            }
            let leap = m == 2 && (y % 4 == 0 && y % 100 != 0 || y % 400 == 0)
            d += 1
            if d > daysIn[m - 1] + (leap ? 1 : 0) { (m, d) = (m + 1, 1) }
            if m > 12 { (y, m) = (y + 1, 1) }
            day += .seconds(86_400)
        }
        #expect(day.day == "2000-01-01")
    }

    @Test func `text reads back to the millisecond`() throws {
        var random = SplitMix64(seed: 42)
        for _ in 0..<5000 {
            let instant = Instant(
                microseconds: Int64.random(in: -62_000_000_000_000...253_000_000_000_000, using: &random) * 1000)
            #expect(Instant(iso: instant.iso) == instant)
        }
    }

    @Test func `weekdays, seconds and arithmetic`() throws {
        let friday = try #require(Instant(iso: "2026-01-02T03:04:05.678Z"))
        #expect(friday.civil.weekday == 5)
        #expect(try #require(Instant(iso: "1969-12-31")).civil.weekday == 3)
        #expect(Instant(microseconds: -1).seconds == -1)
        #expect(Instant(microseconds: -1_000_000).seconds == -1)
        #expect(friday.seconds == 1_767_323_045)
        #expect(friday + .milliseconds(322) == Instant(seconds: 1_767_323_046))
        #expect(friday - .milliseconds(678) == Instant(seconds: 1_767_323_045))
        #expect(friday - Instant(seconds: 1_767_323_045) == .milliseconds(678))
        #expect(Instant(microseconds: .max) + .seconds(1) == Instant(microseconds: .max))
        #expect(Instant(microseconds: .min) - .seconds(Int64.max) == Instant(microseconds: .min))
        #expect(Instant(microseconds: .max) - Instant(microseconds: .min) == .microseconds(Int64.max))
        #expect(Instant(seconds: .max) == Instant(microseconds: .max))
        #expect(Duration.milliseconds(1500).inSeconds == 1.5)
    }

    @Test(arguments: [
        ("Fri, 02 Jan 2026 03:04:05 +0000", "2026-01-02T03:04:05.000Z"),
        ("2 Jan 2026 03:04:05 GMT", "2026-01-02T03:04:05.000Z"),
        ("Thu, 01 Jan 2026 19:04:05 -0800", "2026-01-02T03:04:05.000Z"),
    ])
    func `a carrier's RFC 2822 timestamp is read`(_ text: String, _ iso: String) throws {
        #expect(try #require(Instant(rfc2822: text)).iso == iso)
    }

    @Test(arguments: ["", "Fri, 32 Jan 2026 03:04:05 +0000", "Fri, 02 Foo 2026 03:04:05 +0000", "Fri, 02 Jan 2026"])
    func `what is no mail date is refused`(_ text: String) {
        #expect(Instant(rfc2822: text) == nil)
    }
}
