import Testing

/// The rules of the house over every source of the project. Pure text: a second, no compiler.
@Suite struct TidyTests {
    private func expectNone(_ complaints: [Complaint], _ location: SourceLocation = #_sourceLocation) {
        let list = complaints.map { "\($0)" }.joined(separator: "\n")
        #expect(complaints.isEmpty, "\n\(list)", sourceLocation: location)
    }

    @Test func `the sources are found, or the other tests would say nothing`() {
        #expect(Project.sources.count { $0.isSwift && $0.isProduct } > 50)
        for module in Arrows.allowed.keys {
            #expect(Project.sources.contains { $0.module == module }, "\(module) has arrows but no sources")
        }
    }

    @Test func `modules import only along the arrows`() { expectNone(Arrows.check(Project.sources)) }

    @Test func `SQL stands only in stores, reads, messaging and migrations`() {
        expectNone(Project.sources.flatMap(Places.sql))
    }

    @Test func `only service files read the environment`() { expectNone(Project.sources.flatMap(Places.environment)) }

    @Test func `nothing leaves its loop, traps, or brings threads of its own`() {
        expectNone(Project.sources.flatMap(Habits.check))
    }

    @Test func `nothing is left for later`() { expectNone(Project.sources.flatMap(Habits.leftovers)) }

    @Test func `no test sleeps`() { expectNone(Project.sources.flatMap(Habits.sleeps)) }
}
