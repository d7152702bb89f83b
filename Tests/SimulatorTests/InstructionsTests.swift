import Testing

@testable import CarrierSimulator

@Suite struct InstructionsTests {
    @Test func `a document is read with attributes, entities and nested verbs`() throws {
        let document = """
            <?xml version="1.0" encoding="UTF-8"?><Response><Say language="en">Tom &amp; &quot;Ann&quot;</Say>\
            <Connect action="https://a/b?c=1&amp;d=2"><ConversationRelay url="wss://x/y"/></Connect></Response>
            """
        let verbs = try Instructions.read(Array(document.utf8))
        #expect(verbs.map(\.name) == ["Say", "Connect"])
        #expect(verbs[0].text == "Tom & \"Ann\"")
        #expect(verbs[1].attributes["action"] == "https://a/b?c=1&d=2")
        #expect(verbs[1].children.first?.attributes["url"] == "wss://x/y")
    }

    @Test(arguments: [
        "", "<Response>", "<Response><Say>a</Response>", "<Other/>", "<Response><Say>a & b</Say></Response>",
        "<Response/><Response/>", "<Response><Say x=1>a</Say></Response>", "<Response><Say>&nbsp;</Say></Response>",
    ])
    func `what the carrier would refuse is refused`(_ document: String) {
        #expect(throws: Instructions.Unreadable.self) { try Instructions.read(Array(document.utf8)) }
    }

    @Test(
        arguments: [
            ([("To", "+14155550101"), ("From", "+14155550100"), ("Url", "http://a/")], nil),
            ([("To", "+14155550101"), ("From", "+14155550100")], "Url is missing"),
            ([("To", "12"), ("From", "+14155550100"), ("Url", "http://a/")], "To is not a phone number"),
            (
                [("To", "+14155550101"), ("From", "+14155550100"), ("Url", "http://a/"), ("Tag", "x")],
                "unknown parameter Tag"
            ),
            (
                [("To", "+14155550101"), ("From", "+14155550100"), ("Url", "http://a/"), ("Timeout", "601")],
                "Timeout is not 0 to 600"
            ),
        ] as [([(String, String)], String?)])
    func `a call is created by the carrier's own rules`(_ form: [(String, String)], _ complaint: String?) {
        #expect(Account.complaint(creating: form) == complaint)
    }
}
