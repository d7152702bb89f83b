import Shared
import Testing

@Suite struct `Values` {
    @Test(arguments: [
        ("+14155550123", "+14155550123"), ("+1 (415) 555-0123", "+14155550123"), ("+49 30.123456", "+4930123456"),
        ("+1234567", "+1234567"), ("+123456789012345", "+123456789012345"), (" +44 20 7946 0958 ", "+442079460958"),
    ])
    func `E.164 numbers are read without their decoration`(_ text: String, _ number: String) {
        #expect(PhoneNumber(text)?.text == number)
    }

    @Test(arguments: [
        "", "+", "14155550123", "+123456", "+1234567890123456", "+04155550123", "++14155550123", "+1415555012a",
        "+1415555+123", "(+1)4155550123x", "0049301234567", "+1415555012３", "sip:anna@example.com",
    ])
    func `what is no E.164 number is refused`(_ text: String) {
        #expect(PhoneNumber(text) == nil)
    }

    @Test func `a masked number shows its first digit and its last four`() throws {
        #expect(try #require(PhoneNumber("+14155557890")).masked == "+1******7890")
        #expect(try #require(PhoneNumber("+1234567")).masked == "+1**4567")
        #expect("\(try #require(PhoneNumber("+14155557890")))" == "+1******7890")
    }

    @Test func `an address keeps its local part and folds for comparison`() throws {
        let address = try #require(EmailAddress("  Anna.Lee+calls@Example.COM "))
        #expect(address.text == "Anna.Lee+calls@example.com")
        #expect(address.folded == "anna.lee+calls@example.com")
        #expect(EmailAddress("o'brien@xn--bcher-kva.example") != nil)
    }

    @Test(arguments: [
        "", "anna", "anna@", "@example.com", "anna@example", "anna@@example.com", "a b@example.com",
        "anna@exa mple.com", ".anna@example.com", "anna.@example.com", "an..na@example.com", "anna@-example.com",
        "anna@example-.com", "anna@.example.com", "anna@example..com", "anna@example.123", "anna@127.0.0.1",
        "anna@[127.0.0.1]", "anna\u{0}@example.com", "anna@example.com\nBcc: all@example.com", "änna@example.com",
        "\"anna\"@example.com", String(repeating: "a", count: 65) + "@example.com",
        "a@" + String(repeating: "b.", count: 130) + "com",
    ])
    func `what is no address is refused`(_ text: String) {
        #expect(EmailAddress(text) == nil)
    }

    @Test(arguments: [
        (2999, "USD", "29.99", 29.99), (-5, "USD", "-0.05", -0.05), (0, "EUR", "0.00", 0), (500, "JPY", "500", 500),
        (1234, "KWD", "1.234", 1.234), (100, "usd", "1.00", 1),
    ])
    func `money is a decimal string`(_ minor: Int64, _ currency: String, _ decimal: String, _ double: Double) {
        let money = Money(minor: minor, currency: currency)
        #expect(money.decimal == decimal)
        #expect(money.double == double)
        #expect(Money(decimal: decimal, currency: currency) == money)
    }

    @Test func `money at the ends of its range has a decimal string`() {
        #expect(Money(minor: .min).decimal == "-92233720368547758.08")
        #expect(Money(minor: .max).decimal == "92233720368547758.07")
        #expect(Money(decimal: "29.990")?.minor == 2999)
        #expect(Money(decimal: "29.9")?.minor == 2990)
        #expect(Money(decimal: "29")?.minor == 2900)
    }

    @Test(arguments: [
        "", "-", ".5", "5.", "29.999", "1e3", "1,000.00", "--1", "+1", "٣", "99999999999999999999", "1.2.3",
    ])
    func `what is no amount is refused`(_ text: String) {
        #expect(Money(decimal: text) == nil)
    }

    @Test func `white space is trimmed at both ends only`() {
        #expect(" \t a b\u{A0}\r\n".trimmingWhitespace() == "a b")
        #expect("   ".trimmingWhitespace() == "")
        #expect("".trimmingWhitespace() == "")
    }
}

@Suite struct `Principals` {
    let workspaces = (0..<3).map { _ in WorkspaceID() }

    func person(_ role: Role = .user, _ memberships: [WorkspaceID: WorkspaceRole]) -> Principal {
        Principal(user: UserID(), role: role, workspaces: memberships, expires: .now())
    }

    @Test func `one's own workspace is the oldest one owned`() {
        let anna = person([workspaces[0]: .viewer, workspaces[2]: .owner, workspaces[1]: .owner])
        #expect(anna.ownWorkspace == workspaces[1])
        #expect(anna.defaultWorkspace == workspaces[1])
        #expect(person([workspaces[2]: .agent, workspaces[1]: .viewer]).defaultWorkspace == workspaces[1])
        #expect(person([:]).defaultWorkspace == nil)
    }

    @Test func `a stranger's workspace is not found, a low role is forbidden`() throws {
        let anna = person([workspaces[0]: .agent])
        try anna.require(.readCalls, in: workspaces[0])
        try anna.require(.steerCalls, in: workspaces[0])
        let forbidden = #expect(throws: Problem.self) { try anna.require(.writeAgents, in: workspaces[0]) }
        #expect(forbidden?.status == 403)
        let hidden = #expect(throws: Problem.self) { try anna.require(.readCalls, in: workspaces[1]) }
        #expect(hidden?.code == .workspaceNotFound)
        #expect(throws: Problem.self) { try anna.workspace(workspaces[1], for: .readCalls) }
        #expect(try anna.workspace(nil, for: .readCalls) == workspaces[0])
        #expect(throws: Problem.self) { try person([:]).workspace(nil, for: .readCalls) }
    }

    @Test func `an admin sees and may do everything`() throws {
        let admin = person(.admin, [:])
        try admin.require(.changeSubscription, in: workspaces[0])
        #expect(admin.tenancy == .all)
        #expect(admin.tenancy.ids == nil)
        #expect(admin.tenancy.contains(workspaces[2]))
    }

    @Test func `tenancy holds the memberships and nothing else`() {
        let tenancy = person([workspaces[1]: .viewer, workspaces[0]: .owner]).tenancy
        #expect(tenancy.ids == [workspaces[0], workspaces[1]])
        #expect(tenancy.contains(workspaces[0]))
        #expect(!tenancy.contains(workspaces[2]))
    }

    @Test func `roles are ordered and scopes limit`() {
        #expect(WorkspaceRole.allCases.sorted() == [.viewer, .agent, .manager, .owner])
        let key = Principal(user: UserID(), role: .user, expires: .now(), scopes: ["calls:read"])
        #expect(key.allows("calls:read"))
        #expect(!key.allows("calls:write"))
        #expect(person([:]).allows("anything"))
    }

    private func person(_ memberships: [WorkspaceID: WorkspaceRole]) -> Principal { person(.user, memberships) }
}
