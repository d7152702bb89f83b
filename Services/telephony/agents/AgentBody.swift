import Shared

/// The writable fields of document 001's agent. Nil means "not in the body".
struct AgentBody: Sendable {
    var sent: Set<String>
    let business: BusinessID?
    let name: String?
    let greeting: String?
    let voice: String?
    let language: String?
    let retryInterval: Int?
    let workdays: [String]?
    let callFrom: String?
    let callTo: String?
    let timezone: String?
    let character: String?
    let personality: Agent.Personality?
    let status: Agent.Status?

    init(_ form: inout Form, creating: Bool) {
        sent = Set(form.names)
        business = form.optionalID("business_id", as: BusinessID.self)
        name = form.optionalString("name", min: 1, max: 200)
        // 001's example has no name, so one is made of what the agent is.
        greeting = creating ? form.string("greeting", max: 2000) : form.optionalString("greeting", min: 1, max: 2000)
        voice = form.optionalString("voice", max: 100)
        language = form.optionalString("language", min: 2, max: 40)
        retryInterval = form.optionalInt("retry_interval", in: 0...10_080)
        workdays = form.choices("workdays", as: Agent.Workday.self).map { days in
            Agent.Workday.allCases.filter(days.contains).map(\.rawValue)
        }
        callFrom = Self.time(&form, "call_from")
        callTo = Self.time(&form, "call_to")
        timezone = form.optionalString("timezone", max: 64)
        character = form.optionalString("character", max: 10_000)
        personality = form.optionalChoice("personality_type", as: Agent.Personality.self)
        status = form.optionalChoice("status", as: Agent.Status.self)
    }

    /// `HH:MM` or `HH:MM:SS`, as `HH:MM:SS`.
    private static func time(_ form: inout Form, _ name: String) -> String? {
        guard let text = form.optionalString(name, max: 8) else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { $0.count == 2 && $0.allSatisfy(\.isASCII) ? Int($0) : nil }
        guard (2...3).contains(parts.count), numbers.count == parts.count, (0...23).contains(numbers[0]),
            numbers.dropFirst().allSatisfy({ (0...59).contains($0) })
        else {
            form.fail(name, "must be a time such as 09:00:00")
            return nil
        }
        return text.count == 5 ? text + ":00" : text
    }

    /// `whole`: what the body leaves out goes back to its default (POST, PUT); otherwise it stays (PATCH).
    func apply(to agent: inout Agent, whole: Bool) {
        let blank = Agent(
            id: agent.id, workspace: agent.workspace, name: "AI agent", createdAt: .now(), updatedAt: .now())
        func new<Value>(_ value: Value?, _ name: String, _ old: Value, _ fallback: Value) -> Value {
            if let value { return value }
            return whole || sent.contains(name) ? fallback : old
        }
        func maybe<Value>(_ value: Value?, _ name: String, _ old: Value?) -> Value? {
            if let value { return value }
            return whole || sent.contains(name) ? nil : old
        }
        agent.business = maybe(business, "business_id", agent.business)
        agent.name = new(name, "name", agent.name, blank.name)
        agent.greeting = new(greeting, "greeting", agent.greeting, blank.greeting)
        agent.voice = new(voice, "voice", agent.voice, blank.voice)
        agent.language = new(language, "language", agent.language, blank.language)
        agent.retryInterval = new(retryInterval, "retry_interval", agent.retryInterval, blank.retryInterval)
        agent.workdays = new(workdays, "workdays", agent.workdays, blank.workdays)
        agent.callFrom = maybe(callFrom, "call_from", agent.callFrom)
        agent.callTo = maybe(callTo, "call_to", agent.callTo)
        agent.timezone = maybe(timezone, "timezone", agent.timezone)
        agent.character = new(character, "character", agent.character, blank.character)
        agent.personality = new(personality, "personality_type", agent.personality, blank.personality)
        agent.status = new(status, "status", agent.status, blank.status)
    }
}
