import Testing

@testable import Runtime

@Suite struct SettingsTests {
    @Test func `every missing or bad name is listed at once`() throws {
        let settings = Settings([
            "PORT": "70000", "DEBUG": "perhaps", "PUBLIC_URL": "localhost:8000", "PROFILE": "moon", "SECRET": "short",
            "AUTH_URLS": "http://a, nonsense", "WAIT": "-1", "EMPTY": "", "NUMBER": "four",
        ])
        _ = settings.string("DATABASE_URL")
        _ = settings.string("EMPTY")
        _ = settings.int("PORT", in: 0...65_535)
        _ = settings.bool("DEBUG")
        _ = settings.url("PUBLIC_URL")
        _ = settings.choice("PROFILE", default: Profile.server)
        _ = settings.secret("SECRET", lengthMin: 16)
        _ = settings.urls("AUTH_URLS")
        _ = settings.duration("WAIT", default: .seconds(1))
        #expect(settings.optional("NUMBER", "a digit") { Int($0) } == nil)
        #expect(settings.optional("UNSET", "a digit") { Int($0) } == nil)
        let error = #expect(throws: Settings.Unusable.self) { try settings.check() }
        let names = [
            "DATABASE_URL", "EMPTY", "PORT", "DEBUG", "PUBLIC_URL", "PROFILE", "SECRET", "AUTH_URLS", "WAIT", "NUMBER",
        ]
        #expect(error?.complaints.map { String($0.prefix { $0 != " " }) } == names)
        #expect(names.allSatisfy { error?.description.contains($0) == true })
    }

    @Test func `a complaint never repeats the value, which may be a secret`() {
        let settings = Settings(["SECRET": "hunter2", "PORT": "hunter2"])
        _ = settings.secret("SECRET", lengthMin: 16)
        _ = settings.int("PORT")
        #expect(settings.complaints.count == 2)
        #expect(!settings.complaints.contains { $0.contains("hunter2") })
    }

    @Test func `good values are read and defaults stand in for missing ones`() throws {
        let settings = Settings([
            "PORT": "8101", "DEBUG": "Yes", "PUBLIC_URL": "https://calls.example/", "PROFILE": "local",
            "AUTH_URLS": "http://a:1, http://b:2/", "ORIGINS": " x , ,y", "WAIT": "0.25", "RATIO": "0.5",
        ])
        #expect(settings.int("PORT", in: 0...65_535) == 8101)
        #expect(settings.bool("DEBUG") == true)
        #expect(settings.url("PUBLIC_URL") == "https://calls.example")
        #expect(settings.choice("PROFILE", default: Profile.server) == .local)
        #expect(settings.urls("AUTH_URLS") == ["http://a:1", "http://b:2"])
        #expect(settings.list("ORIGINS") == ["x", "y"])
        #expect(settings.duration("WAIT", default: .seconds(9)) == .milliseconds(250))
        #expect(settings.double("RATIO", in: 0...1) == 0.5)
        #expect(settings.int("LOOPS", default: 2) == 2)
        #expect(settings.string("HOST", default: "0.0.0.0") == "0.0.0.0")
        #expect(settings.optional("HOMEAI_API_KEY") == nil)
        #expect(settings.optionalURL("HOMEAI_API_URL") == nil)
        try settings.check()
    }

    private enum Profile: String, CaseIterable { case server, local }
}
