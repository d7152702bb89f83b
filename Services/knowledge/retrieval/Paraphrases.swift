/// What callers say, and what those who write guidelines call it: one meaning per line, under a name that both sides get
/// as an additional term. Written for call centres in general (shops, subscriptions, accounts, telephony); a phrase may
/// have several meanings, and a workspace whose entries know none of them loses nothing.
///
/// Change anything here and `Terms.version` must change too: the terms of stored passages are made again then.
enum Paraphrases {
    private static let table = """
        refund: refund, reimburse, reimbursement, money back, pay back, paid back, pay me back, repay,
          get my money, give me my money, credit back, credited back, compensate, compensation, want my money
        return: return, send back, send it back, send them back, sent back, sent it back, give back, give it back,
          gave back, gave it back, bring back, bring it back, brought back, take back, take it back, go back,
          exchange, swap, replace, replacement, do not want it
        cancel: cancel, cancellation, call off, terminate, get out of, no longer want, quit, unsubscribe, opt out,
          back out, close my account, stop my, end my
        order: order, purchase, buy, bought, place an order, checkout
        bill: bill, billing, invoice, statement, receipt
        charge: charge, fee, surcharge, overcharge, billed, bill me, took money, take money, taken money,
          took the money, debited, deduct, deduction, come out of my account, extra amount, additional amount,
          extra charge, extra cost
        twice: twice, two times, double, duplicate, two of the same, second time, again
        delivery: deliver, delivery, ship, shipping, shipment, parcel, package, courier, postage, to post, posted,
          dispatch, freight, drop off, dropped off, send it to, mail it, driver, transit, delivery time
        track: track, tracking, where is, where are, whereabouts, on its way, on the way, how far along,
          left the warehouse, status, progress, gone through, went through, go through, any news, update on
        unreceived: missing, lost, never arrive, never arrived, did not arrive, has not arrived, never came,
          did not come, has not come, never receive, never received, did not receive, have not received,
          not received, never got, did not get, never show up, never showed up, has not shown up, never turned up,
          not turned up, still waiting, waiting for, nothing there, not there, did not reach
        missing: missing, lost, gone, disappear, vanish, not there any more, dropped to nothing, used to have
        defect: defect, defective, broken, broke, damage, damaged, faulty, fault, crack, torn, ripped,
          does not work, stopped working, stop working, not working, died, malfunction
        stain: stain, dirty, spot, smudge, mark, ink, soiled, paint, wine
        wrong: wrong, incorrect, mistake, error, not right, by accident, accidentally, by mistake, not what,
          mess up, mix up, mixed up, mismatch, does not match
        color: color, colour, shade, red, blue, green, black, white, brown, purple, pink, yellow, grey, gray,
          orange, navy, beige, darker, lighter
        size: size, fit, small, large, too big, too small, tight, loose, huge, enormous, tiny, medium,
          extra large, baggy, larger, smaller, bigger, too long, too short
        password: password, passcode, secret word, pass phrase, log in details, login details, pin
        access: account access, access, log in, login, sign in, signing in, log on, logged on, log into,
          get into my account, locked out, lock out, let me in, get in, credentials
        username: username, user name, user id, login name, screen name, account name
        twofactor: two factor, two-factor, 2fa, second factor, verification code, security code, authenticator,
          authentication, one time code, digit code, text code, text me a code, login code, reset code
        card: card, visa, mastercard, amex, american express, debit, credit card, bank card
        rejected: decline, declined, reject, rejected, refuse, refused, refuses, invalid, not accept,
          not accepted, will not accept, will not take, not valid, does not work, not working, did not work,
          not go through, says it is invalid
        cart: cart, basket, bag, trolley
        nothing: nothing, empty, blank, no result, nothing happens, not update, not updating, zero,
          does not change, will not change
        search: search, find, look for, looking for, type in, look up, magnifying glass, search bar, search box
        slow: slow, sluggish, lag, laggy, hang, freeze, frozen, take forever, takes forever, takes ages,
          taking ages, load, loading, spinning, stuck, crawl, unusable, minutes to open
        website: website, site, page, webpage, web page, online, app, browser
        phone: phone, telephone, mobile, cell, cellphone, handset, phone number
        address: address, move house, moved house, moved, moving, relocate, new house, new place, new apartment,
          street, flat, apartment, zip, zip code, postcode
        name: name, surname, last name, first name, married, divorce, divorced, maiden name, spelling, spelled,
          misspelled
        paymethod: payment method, method of payment, pay with, paid with, pay by, paid by, paypal, way to pay,
          card on file, credit card, debit card, bank account, bank card, gift card
        pay: pay, payment, paid, settle, pay off
        price: price, pricing, cost, expensive, cheap, cheaper, how much, pricey, dearer, dollar, buck, rate
        competitor: competitor, another shop, another store, another place, another website, other store,
          other shop, other stores, somebody else, someone else, elsewhere, down the road, next door, rival,
          price match, match the price, match it, match that, better price
        yesterday: yesterday, last night, the day before, overnight, day ago, days ago, went up, gone up, go up,
          price lower
        stock: stock, out of stock, sold out, sell out, unavailable, not available, available, availability,
          back in, run out of, none left, nothing left, anything left, restock, inventory
        promo: promo, promo code, coupon, discount, voucher, promotion, offer code, special offer, deal
        expired: expire, expired, expiry, out of date, out-of-date, too old, lapse, lapsed, no longer valid,
          ran out, run out, past its date
        subscription: subscription, subscribe, subscriber, plan, subscribed, monthly, yearly, signed up
        membership: membership, member, loyalty, vip, tier, gold, silver, bronze, member level, reward, points,
          perk, benefit, premium
        active: active, still valid, lapse, lapsed, in force, up and running, still running, go through,
          went through, gone through, still a
        due: due, owe, owed, outstanding, balance, amount due, left to pay, have to pay
        date: date, what day, which day, when is, when does, when do, by when, deadline, by what day, renew, renewal
        extension: extension, extend, pay later, bit later, more time, more days, longer to pay, postpone, defer,
          delay the payment, grace, cannot pay, can not pay, cannot afford, can not afford, broke, payday,
          money is tight, short of money, no money
        dispute: dispute, disagree, contest, complain, not right, do not agree
        unasked: unknown, never ask for, never asked for, did not ask for, never sign up, never signed up,
          did not sign up, without asking, without my permission, did not authorize, never authorized,
          not recognise, not recognize, never ordered, did not order, never bought, did not buy, never shopped,
          no idea what, mystery, extra charge, not familiar
        added: add, added, extra, add on, addon, put on, in addition, additional
        removed: remove, removed, removal, taken off, took off, take off, taken away, took away, deleted, delete,
          no longer have, used to have, taken out
        change: change, update, modify, edit, switch, amend, correct, new
        faster: upgrade, faster, quick, quicker, quickly, expedite, express, rush, overnight, next day, sooner,
          by tomorrow, urgent, urgently, hurry
        slower: downgrade, slower, no rush, not in a hurry, no hurry, next week, standard delivery,
          cheaper delivery, take your time, save on
        timeofday: morning, evening, afternoon, noon, night, time slot, after six, after work, at work, not home,
          nobody home
        quantity: quantity, how many, number of, only ask for, only asked for, only order, only ordered,
          only want, only wanted, just one, just two, too many, more than, pair
        createorder: add something, add an item, add to my order, throw in, put in, include, same box,
          existing order, one more, another item, extra item, forgot to order, new order
        international: international, overseas, abroad, another country, out of the country, foreign, europe,
          canada, mexico, australia, england, uk, germany, france
        free: free, for nothing, no charge, waive, waived, knock off, no extra cost
        creditbalance: credit, store credit, balance, gift balance, account balance, on my account
        record: on file, on record, profile, my details, personal details, in your system, your records
        change_delivery: redirect, reroute, different address, somewhere else, another address, new address
        hours: open, opening, close, closing, hours, o'clock, early, late, sunday, saturday, weekend, holiday hours
        sale: sale, markdown, clearance, black friday, annual sale
        giftwrap: gift wrap, gift wrapping, wrap, wrapping, as a present, as a gift
        stitching: engrave, embroider, embroidery, stitch, stitching, initial, monogram, personalise, personalize,
          sewn, sew
        boots: boot, boots, shoe, shoes, sneaker, footwear, trainers, heel, sandal
        shirt: shirt, top, blouse, tee, t-shirt, button-down, polo, sweater, jumper
        jeans: jeans, denim, trouser, trousers, pants
        jacket: jacket, coat, parka, hood
        sleeve: sleeve, arm length, arm, arms
        alter: alter, alteration, hem, shorten, shortened, tailor, tailored, take it in, made shorter
        wash: wash, washing, clean, washer, dryer, dry-clean, dry clean, laundry, iron, shrink, shrunk,
          get it off, get it out, get out, remove
        waterproof: rain, wet, waterproof, puddle, keep the rain out, water
        material: material, cotton, wool, leather, fabric, made of, made from, polyester
        warm: warm, cold, snow, winter, thick
        policy: policy, rule, rules, terms, conditions, allowed, entitled
        missed: past due, overdue, late, delay, delayed, behind
        human: human, representative, operator, agent, person, manager, supervisor, real person
        appointment: appointment, booking, reservation, book, reserve, schedule, reschedule
        warranty: warranty, guarantee, guaranteed
        internet: internet, wifi, wi-fi, broadband, router, modem, connection, signal
        outage: outage, down, no service, no signal, not connected, offline, cut off
        install: install, installation, set up, setup, technician, engineer, fitting
        contract: contract, agreement, terms
        technician: technician, engineer, repair, fix, mend
        invoicecopy: copy of the bill, copy of my bill, copy of the invoice
        claim: claim, insurance, cover, coverage, policyholder
        appoint: doctor, dentist, clinic, check up
        complaint: complaint, complain, unhappy, not happy, disappointed, fed up, frustrated
        contact: contact, reach, get in touch, call you, email you
        privacy: privacy, personal data, my data, data protection
        """

    /// First stem of a phrase → how many words the longest such phrase has.
    private static let lengths: [String: Int] = meanings.keys.reduce(into: [:]) { lengths, phrase in
        let words = phrase.split(separator: " ")
        let first = String(words[0])
        lengths[first] = max(lengths[first] ?? 0, words.count)
    }

    /// A phrase's stems, joined by spaces → its meanings.
    private static let meanings: [String: [String]] = {
        var meanings: [String: [String]] = [:]
        var name = ""
        for line in table.split(separator: "\n") {
            var phrases = line
            if let colon = line.firstIndex(of: ":") {
                name = "@" + line[..<colon]
                phrases = line[line.index(after: colon)...]
            }
            for phrase in phrases.split(separator: ",") {
                let key = Words.tokens(of: String(phrase)).map(Words.stem).joined(separator: " ")
                guard !key.isEmpty, meanings[key]?.contains(name) != true else { continue }
                meanings[key, default: []].append(name)
            }
        }
        return meanings
    }()

    /// Every stem that occurs in a phrase: spelt right, whether or not an entry has it.
    static let stems = Set(meanings.keys.flatMap { $0.split(separator: " ").map(String.init) })

    /// A phrase of a text by what it means.
    struct Meaning: Sendable {
        let name: String
        /// Which word it begins with, from 0.
        let at: Int
        let words: Int
    }

    /// What a text means.
    /// - Parameters:
    ///   - words: all its words, in order.
    ///   - stems: theirs.
    static func found(in words: [String], _ stems: [String]) -> [Meaning] {
        var found: [Meaning] = []
        for start in stems.indices {
            guard let longest = lengths[stems[start]] else { continue }
            var phrase = ""
            for end in start..<min(start + longest, stems.count) {
                phrase += (end == start ? "" : " ") + stems[end]
                let count = end - start + 1
                // A stop word alone means nothing.
                if count == 1, !Words.carriesMeaning(words[start]) { continue }
                for name in meanings[phrase] ?? [] { found.append(Meaning(name: name, at: start, words: count)) }
            }
        }
        return found
    }
}
