/// Words as the search sees them.
enum Words {
    /// Every word of a text, lower-cased, in order: letters and digits. What follows an apostrophe is left out, but for a
    /// negation: `don't` is two words, `do not`, as phrases are written.
    static func tokens(of text: String) -> [String] {
        var words: [String] = []
        var word = ""
        var suffix: String?
        func finish() {
            if !word.isEmpty, word.utf8.count <= 60 { words += parts(word, suffix) }
            word = ""
            suffix = nil
        }
        for scalar in text.lowercased().unicodeScalars {
            if scalar == "'" || scalar == "\u{2019}" {
                if !word.isEmpty { suffix = suffix ?? "" }
            } else if scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                if suffix == nil { word.unicodeScalars.append(scalar) } else { suffix?.unicodeScalars.append(scalar) }
            } else {
                finish()
            }
        }
        finish()
        return words
    }

    private static func parts(_ word: String, _ suffix: String?) -> [String] {
        switch (word, suffix) {
        case ("cannot", nil), ("can", "t"): ["can", "not"]
        case ("won", "t"): ["will", "not"]
        case (_, "t") where word.hasSuffix("n") && word.count > 2: [String(word.dropLast()), "not"]
        default: [word]
        }
    }

    /// Those that carry meaning: no stop words and no single letters.
    static func content(of text: String) -> [String] { tokens(of: text).filter(carriesMeaning) }

    static func carriesMeaning(_ word: String) -> Bool {
        word.unicodeScalars.count >= 2 && !stopWords.contains(word)
    }

    /// Cuts off English endings, lightly: what differs in more than its ending stays different.
    static func stem(_ word: String) -> String {
        guard word.utf8.count > 3, word.utf8.allSatisfy({ (0x61...0x7A).contains($0) }) else { return word }
        var letters = Array(word.utf8)
        func ends(_ text: String) -> Bool {
            letters.count > text.utf8.count + 1 && letters.suffix(text.utf8.count).elementsEqual(text.utf8)
        }
        func hasVowel(before count: Int) -> Bool { letters.dropLast(count).contains { "aeiouy".utf8.contains($0) } }
        func undouble() {
            guard letters.count > 3, letters[letters.count - 1] == letters[letters.count - 2],
                !"lsz".utf8.contains(letters[letters.count - 1])
            else { return }
            letters.removeLast()
        }

        if ends("ies") {
            letters.removeLast(3)
            letters.append(UInt8(ascii: "y"))
        } else if ends("sses") || ends("xes") || ends("ches") || ends("shes") {
            letters.removeLast(2)
        } else if ends("s"), !ends("ss"), !ends("us"), !ends("is") {
            letters.removeLast()
        }
        for ending in ["ations", "ation", "ments", "ment", "ness", "ing", "ed", "ly"] {
            let length = ending.utf8.count
            guard ends(ending), letters.count - length >= 3, hasVowel(before: length) else { continue }
            letters.removeLast(length)
            undouble()
            break
        }
        if letters.count > 3, letters.last == UInt8(ascii: "e") { letters.removeLast() }
        if letters.count > 3, letters.last == UInt8(ascii: "y") { letters[letters.count - 1] = UInt8(ascii: "i") }
        return String(decoding: letters, as: UTF8.self)
    }

    /// PostgreSQL's English list, and what people say on the phone without meaning anything by it.
    static let stopWords = Set(
        """
        i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it
        its itself they them their theirs themselves what which who whom this that these those am is are was were be been
        being have has had having do does did doing a an the and but if or because as until while of at by for with about
        against between into through during before after above below to from up down in out on off over under again further
        then once here there when where why how all any both each few more most other some such no nor not only own same so
        than too very s t can will just don should now
        didn doesn isn wasn aren weren couldn wouldn shouldn won ain hasn haven hadn let ll re ve
        hi hello hey please thanks thank um uh er ah oh yeah yes yep nope ok okay well actually basically really maybe
        want wants wanted wanna would could might need needs needed like know tell think got get gets getting going gonna
        go goes im ive id dont cant also anything something someone anyone everything thing things way lot bit kind sort
        see say said says make made take takes anyway right sure guess mean supposed able trying try seem seems keep keeps
        still even ever
        """.split(whereSeparator: \.isWhitespace).map(String.init))
}
