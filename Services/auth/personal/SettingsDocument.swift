import Shared

/// Every setting there is, with its default: `{account, notifications, privacy, calls, dashboard}`.
enum SettingsDocument {
    static let root = SettingsNode.group([
        ("account", account), ("notifications", notifications), ("privacy", privacy), ("calls", calls),
        ("dashboard", dashboard),
    ])

    private static let account = SettingsNode.group([
        ("language", .value(.language, default: "en")),
        ("timezone", .value(.zone, default: "UTC")),
        (
            "date_format",
            .value(.choice(["YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY"]), default: "YYYY-MM-DD")
        ),
        ("time_format", .value(.choice(["24h", "12h"]), default: "24h")),
        ("first_day_of_week", .value(.choice(["monday", "sunday", "saturday"]), default: "monday")),
    ])

    /// What one can be told of, and whether by mail and on the phone unless one says otherwise.
    private static let events: [(name: String, mail: Bool, push: Bool)] = [
        ("call_escalated", true, true), ("call_missed", true, false), ("call_completed", false, false),
        ("callback_due", true, true), ("lead_converted", false, false), ("usage_limit", true, false),
        ("billing", true, false), ("security", true, true), ("weekly_report", true, false),
        ("product_news", false, false),
    ]

    private static let notifications = SettingsNode.group([
        (
            "events",
            .group(
                events.map { event in
                    (
                        event.name,
                        .group([
                            ("in_app", .value(.truth, default: true)),
                            ("email", .value(.truth, default: .bool(event.mail))),
                            ("push", .value(.truth, default: .bool(event.push))),
                        ])
                    )
                })
        ),
        (
            "quiet_hours",
            .group([
                ("enabled", .value(.truth, default: false)),
                ("from", .value(.time, default: "22:00")),
                ("to", .value(.time, default: "07:00")),
            ])
        ),
    ])

    private static let privacy = SettingsNode.group([
        ("show_profile_to_members", .value(.truth, default: true)),
        ("show_phone_to_members", .value(.truth, default: false)),
        ("show_activity_to_members", .value(.truth, default: true)),
        ("share_usage_statistics", .value(.truth, default: false)),
        ("improve_assistant_with_my_calls", .value(.truth, default: false)),
    ])

    private static let calls = SettingsNode.group([
        ("record", .value(.truth, default: false)),
        ("announce_recording", .value(.truth, default: true)),
        ("transcribe", .value(.truth, default: true)),
        ("voicemail", .value(.truth, default: true)),
        ("default_language", .value(.language, default: "en-US")),
        ("default_voice", .value(.text(max: 100), default: "")),
        ("ring_seconds", .value(.whole(10...120), default: 30)),
        ("escalate_to_me", .value(.truth, default: true)),
        (
            "hours",
            .group([
                ("from", .value(.time, default: "08:00")),
                ("to", .value(.time, default: "20:00")),
                ("days", .value(.weekdays, default: ["monday", "tuesday", "wednesday", "thursday", "friday"])),
                ("timezone", .value(.zone, default: "UTC")),
            ])
        ),
    ])

    private static let widgets = [
        "profile", "subscription", "call_statistics", "recent_calls", "billing", "agent", "callbacks", "leads",
        "quick_actions", "notifications",
    ]

    private static let dashboard = SettingsNode.group([
        ("theme", .value(.choice(["system", "light", "dark"]), default: "system")),
        ("default_period", .value(.choice(["today", "7d", "30d", "90d"]), default: "30d")),
        ("calls_on_page", .value(.whole(10...100), default: 20)),
        ("live_updates", .value(.truth, default: true)),
        (
            "widgets",
            .group(
                widgets.enumerated().map { place, name in
                    (
                        name,
                        .group([
                            ("visible", .value(.truth, default: true)),
                            ("order", .value(.whole(1...100), default: .int(place + 1))),
                        ])
                    )
                })
        ),
    ])
}
