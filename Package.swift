// swift-tools-version: 6.2
import PackageDescription

/// Every target compiles under the same rules: language mode 6, warnings are errors.
let rules: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// A library under `Shared/`, whose folder is its name.
func shared(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Shared/\(name)", swiftSettings: rules)
}

/// A system library under `Shared/C/`: a module map and at most one-line shims.
func system(_ name: String, pkgConfig: String, apt: String, path: String? = nil) -> Target {
    .systemLibrary(
        name: name, path: path ?? "Shared/C/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

/// One of the programs. It may use anything under `Shared/` but the C modules, and never another program.
func program(_ name: String, path: String, _ own: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .executableTarget(
        name: name,
        dependencies: ["Shared", "Runtime", "HTTP", "Postgres", "Kafka", "Messaging", "Access", "Program"] + own,
        path: path, exclude: exclude, swiftSettings: rules)
}

func test(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)Tests",
        exclude: exclude, swiftSettings: rules)
}

let ground: [Target.Dependency] = ["Shared", "Runtime", "HTTP", "Postgres", "Kafka", "Messaging", "Access", "Program"]

let package = Package(
    name: "switchboard",
    products: [
        .executable(name: "auth", targets: ["Auth"]),
        .executable(name: "billing", targets: ["Billing"]),
        .executable(name: "telephony", targets: ["Telephony"]),
        .executable(name: "qa-analytics", targets: ["QAAnalytics"]),
        .executable(name: "knowledge", targets: ["Knowledge"]),
        .executable(name: "realtime", targets: ["Realtime"]),
        .executable(name: "gateway", targets: ["Gateway"]),
        .executable(name: "carrier-simulator", targets: ["CarrierSimulator"]),
        .executable(name: "benchmarks", targets: ["Benchmarks"]),
    ],
    targets: [
        system("COpenSSL", pkgConfig: "libcrypto", apt: "libssl-dev"),
        system("CTLS", pkgConfig: "libssl", apt: "libssl-dev"),
        system("CCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev"),
        system("CPostgres", pkgConfig: "libpq", apt: "libpq-dev"),
        system("CKafka", pkgConfig: "rdkafka", apt: "librdkafka-dev"),
        system("CArgon2", pkgConfig: "libargon2", apt: "libargon2-dev", path: "Services/auth/CArgon2"),
        // Without pkg-config: it hands out flags of libavif that the package manager warns of, and none that are needed.
        .systemLibrary(name: "CGD", path: "Services/auth/CGD", providers: [.apt(["libgd-dev"])]),
        system("CArchive", pkgConfig: "libarchive", apt: "libarchive-dev", path: "Services/auth/CArchive"),
        system("CPango", pkgConfig: "pangocairo", apt: "libpango1.0-dev", path: "Services/qa-analytics/CPango"),
        system("CPoppler", pkgConfig: "poppler-glib", apt: "libpoppler-glib-dev", path: "Services/knowledge/CPoppler"),
        system("CZip", pkgConfig: "libzip", apt: "libzip-dev", path: "Services/knowledge/CZip"),
        system("CXML", pkgConfig: "libxml-2.0", apt: "libxml2-dev", path: "Services/knowledge/CXML"),
        // Without pkg-config: what it hands out is already where compilers look.
        .systemLibrary(name: "CHiredis", path: "Gateway/CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .target(name: "CLinux", path: "Shared/C/CLinux"),

        shared("Shared", ["COpenSSL"]),
        shared("Runtime", ["Shared", "CLinux"]),
        shared("HTTP", ["Shared", "Runtime", "CTLS", "CCurl"]),
        shared("Postgres", ["Shared", "Runtime", "CPostgres"]),
        shared("Kafka", ["Shared", "Runtime", "CKafka"]),
        shared("Messaging", ["Shared", "Runtime", "HTTP", "Postgres", "Kafka"]),
        shared("Access", ["Shared", "Runtime", "HTTP", "Kafka", "Messaging"]),
        shared("Program", ["Shared", "Runtime", "HTTP", "Postgres", "Kafka", "Messaging", "Access"]),

        .target(
            name: "Passwords", dependencies: ["Runtime", "CArgon2"], path: "Services/auth/Passwords",
            swiftSettings: rules),
        .target(
            name: "Pictures", dependencies: ["Runtime", "CGD"], path: "Services/auth/Pictures", swiftSettings: rules),
        .target(name: "Archives", dependencies: ["CArchive"], path: "Services/auth/Archives", swiftSettings: rules),
        program(
            "Auth", path: "Services/auth", ["Passwords", "Pictures", "Archives"],
            exclude: ["Passwords", "CArgon2", "Pictures", "CGD", "Archives", "CArchive", "migrations"]),
        program("Billing", path: "Services/billing", exclude: ["migrations"]),
        program("Telephony", path: "Services/telephony", exclude: ["migrations"]),
        .target(
            name: "Reports", dependencies: ["CPango"], path: "Services/qa-analytics/Reports", swiftSettings: rules),
        program(
            "QAAnalytics", path: "Services/qa-analytics", ["Reports"], exclude: ["Reports", "CPango", "migrations"]),
        .target(
            name: "Documents", dependencies: ["CPoppler", "CZip", "CXML"], path: "Services/knowledge/Documents",
            swiftSettings: rules),
        program(
            "Knowledge", path: "Services/knowledge", ["Documents"],
            exclude: ["Documents", "CPoppler", "CZip", "CXML", "migrations"]),
        program("Realtime", path: "Services/realtime", exclude: ["migrations"]),
        .target(
            name: "Counters", dependencies: ["Shared", "Runtime", "HTTP", "CHiredis"], path: "Gateway/Counters",
            swiftSettings: rules),
        .executableTarget(
            name: "Gateway", dependencies: ["Shared", "Runtime", "HTTP", "Kafka", "Messaging", "Access", "Counters"],
            path: "Gateway", exclude: ["Counters", "CHiredis"], swiftSettings: rules),

        .target(
            name: "TestSupport", dependencies: ground, path: "Tests/TestSupport", swiftSettings: rules),
        .executableTarget(
            name: "CarrierSimulator", dependencies: ["Shared", "Runtime", "HTTP"], path: "Tests/CarrierSimulator",
            exclude: ["conversations.jsonl"], swiftSettings: rules),
        .executableTarget(
            name: "Benchmarks", dependencies: ground, path: "Tests/Benchmarks", swiftSettings: rules),
        test("Shared", ["Shared"], exclude: ["samples"]),
        test("Runtime", ["Runtime", "Shared"]),
        test("HTTP", ["HTTP", "Runtime", "Shared"]),
        test("Postgres", ["Postgres", "Runtime", "Shared"]),
        test("Kafka", ["Kafka", "Runtime", "Shared"]),
        test("Messaging", ground),
        test("Access", ground),
        test("Auth", ground + ["Auth", "Passwords", "Pictures", "Archives"]),
        test("Billing", ground + ["Billing"]),
        test("Telephony", ground + ["Telephony"]),
        test("QAAnalytics", ground + ["QAAnalytics", "Reports"]),
        test("Knowledge", ground + ["Knowledge", "Documents"], exclude: ["queries.json"]),
        test("Realtime", ground + ["Realtime"]),
        test("Gateway", ground + ["Gateway", "Counters"]),
        test("Simulator", ground + ["CarrierSimulator"]),
        test("Tidy", []),
    ]
)
