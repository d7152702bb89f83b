import Testing

@testable import Messaging

@Suite struct PublishOrderTests {
    @Test func `rows without holes go out`() {
        let order = PublishOrder()
        #expect(order.ready(after: 0, rows: [1, 2, 3]) == 3)
        #expect(order.ready(after: 3, rows: []) == 0)
    }

    @Test func `nothing behind a hole goes out while a writer may fill it`() {
        var order = PublishOrder()
        #expect(order.ready(after: 0, rows: [1, 3, 4]) == 1)
        #expect(order.ready(after: 1, rows: [3, 4]) == 0)
        order.blocked(upTo: 4, writers: ["5/1", "6/9"])
        #expect(order.ready(after: 1, rows: [3, 4]) == 0)
        order.blocked(upTo: 4, writers: ["5/1"])
        #expect(order.ready(after: 1, rows: [3, 4]) == 0)
    }

    @Test func `a hole that was filled is published in its place`() {
        var order = PublishOrder()
        order.blocked(upTo: 3, writers: ["5/1"])
        #expect(order.ready(after: 1, rows: [2, 3]) == 2)
    }

    @Test func `a hole is passed when every writer of its time has ended, whoever writes since`() {
        var order = PublishOrder()
        order.blocked(upTo: 4, writers: ["5/1", "6/9"])
        order.blocked(upTo: 9, writers: ["5/2", "7/1"])
        #expect(order.settled == 4)
        #expect(order.ready(after: 1, rows: [3, 4, 6]) == 2)
    }

    @Test func `without writers a hole is passed at once`() {
        var order = PublishOrder()
        order.blocked(upTo: 4, writers: [])
        #expect(order.ready(after: 1, rows: [3, 4]) == 2)
    }

    @Test func `a hole seen later is another question`() {
        var order = PublishOrder()
        order.blocked(upTo: 4, writers: [])
        #expect(order.ready(after: 4, rows: [6, 7]) == 0)
        order.blocked(upTo: 7, writers: ["5/1"])
        #expect(order.ready(after: 4, rows: [6, 7]) == 0)
    }

    @Test func `going back to the beginning passes what is settled at once`() {
        var order = PublishOrder()
        order.blocked(upTo: 1000, writers: [])
        #expect(order.ready(after: 0, rows: [500, 700, 1001]) == 3)
    }
}
