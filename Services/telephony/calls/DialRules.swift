import Shared

/// Which numbers may be dialled at all, whoever asks (facts: "Security rules with numbers").
///
/// Countries are denied unless their prefix is listed; premium, satellite, emergency and short numbers are denied even
/// then. Pure: the do-not-call list, plan limits and calling hours are looked at by `PlaceCall`.
struct DialRules: Sendable, Equatable {
    /// Country prefixes that may be dialled (`DIAL_PREFIXES`), without the plus.
    var allowed: [String]

    /// North America, the European Economic Area, Switzerland, the United Kingdom, Australia and New Zealand.
    static let allowedDefault = [
        "1", "30", "31", "32", "33", "34", "351", "352", "353", "354", "356", "357", "358", "359", "36", "370", "371",
        "372", "385", "386", "39", "40", "41", "420", "421", "423", "43", "44", "45", "46", "47", "48", "49", "61",
        "64",
    ]

    enum Refusal: Error, Sendable, Equatable {
        case country, premium, emergency, short

        var message: String {
            switch self {
            case .country: "Calls to this country are not enabled."
            case .premium: "Premium-rate numbers cannot be called."
            case .emergency: "Emergency numbers cannot be called."
            case .short: "This number is too short to be called."
            }
        }
    }

    init(allowed: [String] = Self.allowedDefault) {
        self.allowed = allowed.map { String($0.drop { $0 == "+" }) }
    }

    func check(_ number: PhoneNumber) throws(Refusal) {
        let digits = number.text.dropFirst()
        // E.164 has no lower bound, but no subscriber number outside of islands with their own rules is shorter.
        if digits.count < Self.digitsMin { throw .short }
        if Self.emergency.contains(where: { digits.hasPrefix($0) }) { throw .emergency }
        if Self.premium.contains(where: { digits.hasPrefix($0) }) { throw .premium }
        if !allowed.contains(where: { digits.hasPrefix($0) }) { throw .country }
    }

    static let digitsMin = 8

    /// Country code and an emergency number where a subscriber's should be.
    private static let emergency = [
        "1911", "1112", "44999", "44112", "49110", "49112", "33112", "3315", "3317", "3318", "39112", "39113", "39118",
        "34112", "43112", "43133", "43144", "41112", "41117", "41118", "41144", "61000", "64111",
    ]

    /// Premium-rate and shared-cost ranges, satellite and international networks, and the island codes inside +1 that
    /// toll fraud prefers.
    private static let premium =
        [
            "1900", "1976", "449", "4487", "4484", "4470", "49900", "49137", "49180", "49190", "3389", "39892", "39895",
            "39899", "39144", "39166", "39199", "34803", "34806", "34807", "34905", "34907", "43900", "43901", "43930",
            "43931", "43939", "41900", "41901", "41906", "31900", "31906", "31909", "32900", "32902", "32903", "46900",
            "46939", "46944", "47829", "4590", "61190", "64900", "979", "870", "878", "881", "882", "883", "888",
        ] + islands.map { "1" + $0 }

    private static let islands = [
        "242", "246", "264", "268", "284", "345", "441", "473", "649", "658", "664", "721", "758", "767", "784", "809",
        "829", "849", "868", "869", "876",
    ]
}

/// The time zones a number may be in, for calling hours. Every one of them must be within hours.
enum NumberZones {
    /// IANA names; UTC where the country is not known to us.
    static func zones(of number: String) -> [String] {
        let digits = number.drop { $0 == "+" }
        for length in stride(from: 3, through: 1, by: -1) {
            if let found = table[String(digits.prefix(length))] { return found }
        }
        return ["UTC"]
    }

    private static let table: [String: [String]] = [
        "1": ["America/New_York", "America/Los_Angeles"], "30": ["Europe/Athens"], "31": ["Europe/Amsterdam"],
        "32": ["Europe/Brussels"], "33": ["Europe/Paris"], "34": ["Europe/Madrid"], "351": ["Europe/Lisbon"],
        "352": ["Europe/Luxembourg"], "353": ["Europe/Dublin"], "354": ["Atlantic/Reykjavik"], "356": ["Europe/Malta"],
        "357": ["Asia/Nicosia"], "358": ["Europe/Helsinki"], "359": ["Europe/Sofia"], "36": ["Europe/Budapest"],
        "370": ["Europe/Vilnius"], "371": ["Europe/Riga"], "372": ["Europe/Tallinn"], "385": ["Europe/Zagreb"],
        "386": ["Europe/Ljubljana"], "39": ["Europe/Rome"], "40": ["Europe/Bucharest"], "41": ["Europe/Zurich"],
        "420": ["Europe/Prague"], "421": ["Europe/Bratislava"], "423": ["Europe/Vaduz"], "43": ["Europe/Vienna"],
        "44": ["Europe/London"], "45": ["Europe/Copenhagen"], "46": ["Europe/Stockholm"], "47": ["Europe/Oslo"],
        "48": ["Europe/Warsaw"], "49": ["Europe/Berlin"], "61": ["Australia/Perth", "Australia/Sydney"],
        "64": ["Pacific/Auckland"],
    ]
}
