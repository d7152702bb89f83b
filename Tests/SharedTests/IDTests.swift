import Testing

@testable import Shared

@Suite struct `IDs` {
    @Test func `text reads back, in either case`() throws {
        let id = CallID(high: 0x0198_C5D2_7A10_7CC3, low: 0x98C5_D27A_10AC_C3F1)
        #expect(id.text == "0198c5d2-7a10-7cc3-98c5-d27a10acc3f1")
        #expect(CallID(id.text) == id)
        #expect(CallID(id.text.uppercased()) == id)
    }

    @Test(arguments: [
        "", "0198c5d2", "0198c5d27a107cc398c5d27a10acc3f1", "{0198c5d2-7a10-7cc3-98c5-d27a10acc3f1}",
        "0198c5d2-7a10-7cc3-98c5-d27a10acc3f", "0198c5d2-7a10-7cc3-98c5-d27a10acc3f12",
        "0198c5d2-7a10-7cc3-98c5-d27a10acc3fg", "0198c5d2_7a10_7cc3_98c5_d27a10acc3f1",
        "0198c5d2-7a10-7cc3-98c5d-27a10acc3f1", " 198c5d2-7a10-7cc3-98c5-d27a10acc3f1",
        "٠198c5d2-7a10-7cc3-98c5-d27a10acc3",
    ])
    func `anything but 36 canonical characters is refused`(_ text: String) {
        #expect(CallID(text) == nil)
    }

    @Test func `new ids are version 7, increasing and of this moment`() {
        let before = Instant.now()
        var last = CallID()
        for _ in 0..<10_000 {
            let next = CallID()
            #expect(next > last)
            last = next
        }
        #expect(last.high >> 12 & 0xF == 7)
        #expect(last.low >> 62 == 0b10)
        #expect(CallID().madeAt.microseconds >= before.microseconds / 1000 * 1000)
        #expect(last.madeAt < before + .seconds(60))
    }

    @Test func `ids from several threads never repeat`() async {
        let all = await withTaskGroup(of: [UserID].self) { group in
            for _ in 0..<4 { group.addTask { (0..<5000).map { _ in UserID() } } }
            return await group.reduce(into: Set<UserID>()) { $0.formUnion($1) }
        }
        #expect(all.count == 20_000)
    }

    @Test func `order is the order of the text`() {
        let ids = (0..<200).map { _ in
            EventID(high: UInt64.random(in: 0 ... .max), low: UInt64.random(in: 0 ... .max))
        }
        #expect(ids.sorted().map(\.text) == ids.map(\.text).sorted())
    }
}
