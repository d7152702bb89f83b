import Shared
import Testing

@testable import CarrierSimulator

@Suite struct CarrierDocumentTests {
    /// The carrier's own OpenAPI document, where it lies beside the checkout.
    private static func parameters(_ path: String) throws -> Set<String>? {
        let root = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        guard let text = Conversation.text("/\(root)/shared/specs/twilio-voice.openapi.json") else { return nil }
        let schema = try JSON.parse(text)["paths"]?[path]?["post"]?["requestBody"]?["content"]?[
            "application/x-www-form-urlencoded"]?["schema"]?["properties"]?.object
        return schema.map { Set($0.names) }
    }

    @Test func `the simulator knows exactly the parameters the carrier's document names`() throws {
        let calls = "/2010-04-01/Accounts/{AccountSid}/Calls"
        if let create = try Self.parameters(calls + ".json") { #expect(create == Account.callFields) }
        if let update = try Self.parameters(calls + "/{Sid}.json") { #expect(update == Account.updateFields) }
    }
}
