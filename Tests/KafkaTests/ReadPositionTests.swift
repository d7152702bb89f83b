import Testing

@testable import Kafka

@Suite struct ReadPositionTests {
    private func read(_ offsets: [Int64]) -> ReadPosition {
        var position = ReadPosition()
        for offset in offsets { _ = position.read(offset, fingerprint: Int(offset) * 10) }
        return position
    }

    @Test func `records are delivered as they come`() {
        var position = ReadPosition()
        #expect(position.read(0, fingerprint: 1) == .deliver)
        #expect(position.read(1, fingerprint: 2) == .deliver)
        #expect(position.next == 2)
    }

    @Test func `nothing is believed between a lost connection and the log's end`() {
        var position = read([0, 1, 2])
        position.disconnected()
        #expect(position.read(3, fingerprint: 30) == .drop)
        #expect(position.located(end: 4) == .offset(2))
    }

    @Test func `the same log goes on after the record that was read twice`() {
        var position = read([0, 1, 2])
        position.disconnected()
        #expect(position.located(end: 5) == .offset(2))
        #expect(position.read(2, fingerprint: 20) == .drop)
        #expect(position.read(3, fingerprint: 30) == .deliver)
    }

    @Test func `a log that ends before the last record is read from its beginning`() {
        var position = read([0, 1, 2])
        position.disconnected()
        #expect(position.located(end: 2) == .beginning)
        #expect(position.read(0, fingerprint: 77) == .deliver)
    }

    @Test func `a log that ends just where reading stopped is compared`() {
        var position = read([0, 1, 2])
        position.disconnected()
        #expect(position.located(end: 3) == .offset(2))
        #expect(position.read(2, fingerprint: 99) == .restart)
        #expect(position.read(0, fingerprint: 77) == .deliver)
    }

    @Test func `a longer log with another record at the place is read from its beginning`() {
        var position = read([0, 1, 2])
        position.disconnected()
        _ = position.located(end: 100)
        #expect(position.read(2, fingerprint: 21) == .restart)
    }

    @Test func `a record that compaction removed counts as another log`() {
        var position = read([0, 1, 2])
        position.disconnected()
        _ = position.located(end: 100)
        #expect(position.read(7, fingerprint: 20) == .restart)
    }

    @Test func `who begins at the end fetches the record before it and keeps it to itself`() {
        var position = ReadPosition(startingAt: 5, first: 0)
        #expect(position.read(4, fingerprint: 40) == .drop)
        #expect(position.read(5, fingerprint: 50) == .deliver)
        position.disconnected()
        #expect(position.located(end: 6) == .offset(5))
    }

    @Test func `who begins at the end and has read nothing can still tell a new log`() {
        var position = ReadPosition(startingAt: 5, first: 0)
        #expect(position.read(4, fingerprint: 40) == .drop)
        position.disconnected()
        #expect(position.located(end: 3) == .beginning)
        #expect(position.read(0, fingerprint: 1) == .deliver)
    }

    @Test func `who has read nothing has nothing to compare`() {
        var position = ReadPosition(startingAt: 0, first: 0)
        position.disconnected()
        #expect(position.located(end: 0) == nil)
        #expect(position.read(0, fingerprint: 1) == .deliver)
    }

    @Test func `a second lost connection while comparing begins anew`() {
        var position = read([0, 1, 2])
        position.disconnected()
        _ = position.located(end: 5)
        position.disconnected()
        #expect(position.read(2, fingerprint: 20) == .drop)
        #expect(position.located(end: 5) == .offset(2))
        #expect(position.read(2, fingerprint: 20) == .drop)
        #expect(position.read(3, fingerprint: 30) == .deliver)
    }
}
