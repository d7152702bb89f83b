/// One line of the table: ours beside what it is compared with, measured in the same run.
struct Measurement: Sendable {
    var what: String
    var ours: String
    var other = ""
    /// Above 1: ours is better. Nil when there is nothing to compare with.
    var ratio: Double?
    var goal = ""

    var line: String {
        [what, ours, other, ratio.map(hundredths) ?? "", goal].joined(separator: "\t")
    }
}

func median(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.sorted()[values.count / 2]
}

func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
func hundredths(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
func perSecond(_ rate: Double) -> String { "\(Int(rate.rounded()))/s" }

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
