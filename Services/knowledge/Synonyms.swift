/// Words that mean the same on the phone. The first of a group names it; a word belongs to one group only.
enum Synonyms {
    private static let groups: [[String]] = [
        ["refund", "reimburse", "reimbursement", "moneyback"],
        ["return", "exchange", "replace", "replacement"],
        ["cancel", "terminate", "quit", "unsubscribe"],
        ["order", "purchase", "buy", "bought"],
        ["bill", "invoice", "statement"],
        ["charge", "fee", "surcharge", "charged", "overcharged", "billed"],
        ["ship", "shipment", "shipping", "deliver", "delivery", "package", "parcel", "courier"],
        ["defect", "defective", "broken", "damaged", "faulty", "broke"],
        ["stain", "dirty", "spot", "smudge"],
        ["password", "passcode"],
        ["username", "login", "signin"],
        ["slow", "lag", "laggy", "sluggish", "loading"],
        ["website", "site", "webpage", "page", "app"],
        ["phone", "telephone", "mobile", "cell", "cellphone"],
        ["address", "moved", "moving"],
        ["promo", "coupon", "discount", "voucher", "promotion"],
        ["membership", "loyalty", "vip", "tier"],
        ["subscription", "plan", "renewal", "renew"],
        ["size", "fit", "fits", "small", "large", "tight", "loose"],
        ["color", "colour", "shade"],
        ["pay", "payment", "paid", "paying"],
        ["upgrade", "faster", "expedite", "rush"],
        ["downgrade", "slower"],
        ["stock", "available", "availability", "sold"],
        ["price", "cost", "expensive", "cheap", "cheaper", "pricing"],
        ["missing", "lost", "gone", "disappeared", "vanished"],
        ["wrong", "incorrect", "mistake", "error"],
        ["late", "delay", "delayed", "overdue"],
        ["search", "find", "finding", "look", "looking"],
        ["cart", "basket", "bag"],
        ["jeans", "pants", "trousers", "denim"],
        ["boots", "boot", "shoe", "shoes"],
        ["jacket", "coat"],
        ["two", "2fa", "verification", "authenticator"],
        ["extension", "extend", "postpone", "longer"],
        ["dispute", "disagree", "contest"],
        ["add", "added", "extra", "additional"],
        ["remove", "removed", "delete", "deleted"],
        ["change", "update", "modify", "edit", "switch"],
        ["store", "shop", "branch"],
        ["international", "overseas", "abroad", "country"],
        ["competitor", "elsewhere", "rival"],
        ["due", "owe", "owed", "balance"],
        ["human", "representative", "operator", "agent", "person"],
        ["appointment", "booking", "reservation", "book", "reserve", "schedule", "reschedule"],
        ["hours", "opening", "closing", "open", "closed"],
        ["warranty", "guarantee", "guaranteed"],
    ]

    /// Stem → the name of its group.
    static let names: [String: String] = {
        var names: [String: String] = [:]
        for group in groups {
            guard let first = group.first else { continue }
            for word in group where names[Words.stem(word)] == nil { names[Words.stem(word)] = Words.stem(first) }
        }
        return names
    }()

    /// Name of a group → its words.
    private static let members: [String: [String]] = Dictionary(
        groups.compactMap { group in group.first.map { (Words.stem($0), group) } },
        uniquingKeysWith: { first, _ in first })

    /// The other words for a term.
    static func others(for word: String) -> [String] {
        let stem = Words.stem(word)
        guard let name = names[stem] else { return [] }
        return (members[name] ?? []).filter { Words.stem($0) != stem }
    }
}
