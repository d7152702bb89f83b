import Shared
import Testing

@Suite struct NumberRangeTests {
    private static func number(_ text: String) throws -> PhoneNumber { try #require(PhoneNumber(text)) }

    @Test(arguments: [
        ("+4479*", "+447911123456", true), ("+4479*", "+447811123456", false), ("+4479*", "+44791", false),
        ("+4479*", "+4479000", true), ("+44790000*", "+4479000", false), ("+44 79 *", "+447911123456", true),
        ("+14155550123", "+14155550123", true), ("+14155550123", "+14155550124", false),
        ("+1415555", "+14155550", false), ("+14155550", "+141555500", false),
        ("+14155550100-+14155550199", "+14155550100", true), ("+14155550100-+14155550199", "+14155550199", true),
        ("+14155550100-+14155550199", "+14155550200", false), ("+14155550100-+14155550199", "+1415555015", false),
        ("+14155550100-+14155550199", "+141555501500", false),
        ("+1 (415) 555-0100 - +1 (415) 555-0199", "+14155550150", true),
    ])
    func `covers the numbers it says and no other`(_ range: String, _ number: String, _ covered: Bool) throws {
        let range = try #require(NumberRange(range))
        guard let number = PhoneNumber(number) else { return }
        #expect(range.contains(number) == covered)
    }

    @Test(arguments: [
        "", "*", "+*", "+4*", "+0479*", "4479*", "+44a9*", "+447911123456*99", "+123456789012345*", "+4479", "+4479**",
        "+14155550199-+14155550100", "+1415555010-+14155550199", "+14155550100-", "-+14155550100",
        "+14155550100-14155550199", "+14155550100-+14155550199-+14155550299",
    ])
    func `anything else is no range`(_ text: String) { #expect(NumberRange(text) == nil) }

    @Test(arguments: [
        ("+44 79*", "+4479*"), ("+1 415 555 0100-+1 415 555 0199", "+14155550100-+14155550199"),
        ("+1-415-555-0123", "+14155550123"), ("+14155550123-+14155550123", "+14155550123"),
    ])
    func `has one spelling`(_ text: String, _ spelling: String) throws {
        let range = try #require(NumberRange(text))
        #expect(range.text == spelling)
        #expect(NumberRange(range.text) == range)
    }

    @Test func `as whole numbers, what it covers lies between its ends`() throws {
        let range = try #require(NumberRange("+4479*"))
        #expect(range.first == 447_900_000_000_000 && range.last == 447_999_999_999_999 && range.lengths == 4...15)
        #expect(NumberRange.place(of: try Self.number("+447911123456")) == 447_911_123_456_000)
        #expect(NumberRange(try Self.number("+447911123456")).isSingle && !range.isSingle)
    }
}
