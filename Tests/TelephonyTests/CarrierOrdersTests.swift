import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct CarrierOrdersTests {
    private func working(_ rig: Rig, _ body: () async throws -> Void) async throws {
        let worker = CarrierOrders(rig.telephony)
        try await worker.start(on: testLoops)
        do { try await body() } catch {
            await worker.stop(deadline: .seconds(1))
            throw error
        }
        await worker.stop(deadline: .seconds(5))
    }

    private func place(_ rig: Rig) async throws -> CallID {
        let json = try await rig.ann.client.post("/api/v1/calls/initiate", json: ["to_number": "+14155550199"]).json()
        return try #require(json["call"]?["id"]?.string.flatMap { CallID($0) })
    }

    @Test func `a call is dialled once, with our addresses`() async throws {
        try await Rig.with { rig async throws in
            try await working(rig) {
                let id = try await place(rig)
                try await eventually("the call has the carrier's id") { try await rig.stored(id).sid != nil }
                #expect(rig.carrier.dials.count == 1)
                let dial = try #require(rig.carrier.dials.first)
                #expect(dial.to == "+14155550199")
                #expect(
                    dial.instructions
                        == "https://calls.example.com/api/calls/twilio-webhook/?kind=voice&call=\(id.text)")
                #expect(dial.answeringMachine?.contains("kind=amd") == true)
                #expect(try await rig.orders() == ["dial done"])
            }
        }
    }

    @Test func `two replicas dial a hundred calls a hundred times`() async throws {
        try await Rig.with { rig async throws in
            let second = CarrierOrders(rig.telephony)
            try await working(rig) {
                try await second.start(on: testLoops)
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<100 { group.addTask { _ = try? await place(rig) } }
                }
                try await eventually("all are dialled") {
                    try await rig.orders().filter { $0 == "dial done" }.count == 100
                }
                #expect(rig.carrier.dials.count == 100)
                await second.stop(deadline: .seconds(5))
            }
        }
    }

    @Test func `a refusal fails the call with the carrier's reason`() async throws {
        try await Rig.with { rig async throws in
            rig.carrier.failNext(.refused(status: 400, code: 21211, message: "invalid"))
            try await working(rig) {
                let id = try await place(rig)
                try await eventually("the call failed") { try await rig.stored(id).status == .failed }
                #expect(try await rig.stored(id).failureReason == "carrier_refused_21211")
                #expect(try await rig.eventTypes().contains("ended"))
            }
        }
    }

    @Test func `a busy carrier is asked again`() async throws {
        try await Rig.with { rig async throws in
            rig.carrier.failNext(.busy)
            try await working(rig) {
                let id = try await place(rig)
                try await eventually("it was placed at last") { try await rig.stored(id).sid != nil }
                #expect(rig.carrier.dials.count == 2)
            }
        }
    }

    @Test func `an unknown outcome is looked up, never redialled blindly`() async throws {
        try await Rig.with { rig async throws in
            rig.carrier.failNext(.unknown("timeout"), placing: "CAghost")
            try await working(rig) {
                let id = try await place(rig)
                try await eventually("it was asked for") { try await rig.orders() == ["dial asked"] }
                #expect(try await rig.stored(id).sid == nil)
                // The asker has gone silent long enough.
                try await rig.database.execute("UPDATE carrier_orders SET not_before = now() - interval '1 minute'")
                try await eventually("the placed call was found") { try await rig.stored(id).sid == "CAghost" }
                #expect(rig.carrier.dials.count == 1)
            }
        }
    }

    @Test func `one the carrier knows nothing of is placed after all`() async throws {
        try await Rig.with { rig async throws in
            rig.carrier.failNext(.unknown("timeout"))
            try await working(rig) {
                let id = try await place(rig)
                try await eventually("it was asked for") { try await rig.orders() == ["dial asked"] }
                try await rig.database.execute("UPDATE carrier_orders SET not_before = now() - interval '1 minute'")
                try await eventually("it was placed") { try await rig.stored(id).sid != nil }
                #expect(rig.carrier.dials.count == 2)
            }
        }
    }

    @Test func `a call that ended before its dial is not dialled`() async throws {
        try await Rig.with { rig async throws in
            let id = try await place(rig)
            _ = await rig.ann.client.post("/api/v1/calls/\(id.text)/end")
            try await working(rig) {
                let next = try await place(rig)
                try await eventually("the one after it was dialled") { try await rig.stored(next).sid != nil }
                #expect(rig.carrier.dials.count == 1)
                #expect(rig.carrier.dials.first?.instructions.contains(next.text) == true)
            }
        }
    }

    @Test func `ending and handing back are told to the carrier`() async throws {
        try await Rig.with { rig async throws in
            let (ended, handed) = (try await rig.call(), try await rig.call(.escalated))
            try await working(rig) {
                _ = await rig.ann.client.post("/api/v1/calls/\(ended.id.text)/end")
                _ = await rig.ann.client.post("/api/v1/calls/\(handed.id.text)/handback")
                try await eventually("both are done") {
                    rig.carrier.hangUps == [ended.sid ?? ""] && rig.carrier.redirects.count == 1
                }
                #expect(rig.carrier.redirects.first?.url.contains("kind=voice&call=\(handed.id.text)") == true)
            }
        }
    }

    @Test func `a live call nothing is heard of is asked about`() async throws {
        try await Rig.with(policy: { $0.reconcileAfter = .milliseconds(1) }) { rig async throws in
            let call = try await rig.call()
            rig.carrier.report(CarrierReport(sid: call.sid ?? "", state: .completed, at: .now(), durationSeconds: 33))
            try await working(rig) {
                try await eventually("the missed end was found", { try await rig.stored(call.id).status == .completed })
                #expect(try await rig.stored(call.id).durationSeconds == 33)
            }
        }
    }
}
