import Shared

/// Role, status and rights of a person as the one number the column `kinds` keeps: a code for every combination, so that
/// a filter is a list of codes, and counting is adding up what the tables of counts keep for each.
enum UserKinds {
    private static let roles: [(Role, Int)] = [(.user, 0), (.agent, 1), (.admin, 2)]
    private static let statuses: [(Account.Status, Int)] = [(.active, 0), (.inactive, 4), (.suspended, 8)]
    private static let flags = [false, true]

    /// Whether only kinds are asked for that an index of their own holds: all but active users without rights, verified
    /// or not.
    static func areRare(_ filter: UserFilter) -> Bool {
        codes(filter).map { !$0.contains(0) && !$0.contains(64) } ?? false
    }

    /// Every code `filter` means; nil when it asks for no kind.
    static func codes(_ filter: UserFilter) -> [Int]? {
        guard filter.isOfKind else { return nil }
        var codes: [Int] = []
        for (role, ofRole) in roles where filter.role == nil || filter.role == role {
            for (status, ofStatus) in statuses
            where (filter.status == nil || filter.status == status)
                && (filter.isActive == nil || filter.isActive == (status == .active))
            {
                for staff in flags where filter.isStaff == nil || filter.isStaff == staff {
                    for superuser in flags where filter.isSuperuser == nil || filter.isSuperuser == superuser {
                        for verified in flags where filter.isVerified == nil || filter.isVerified == verified {
                            codes.append(
                                ofRole + ofStatus + (staff ? 16 : 0) + (superuser ? 32 : 0) + (verified ? 64 : 0))
                        }
                    }
                }
            }
        }
        return codes
    }
}
