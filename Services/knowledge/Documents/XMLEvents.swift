import CXML

/// An XML text, one event after the other. No document type, no entity but the five every XML has, no network, and no
/// deeper than the limit.
final class XMLEvents {
    enum Event: Equatable {
        case open(String)
        case close(String)
        case text(String)
    }

    private let reader: xmlTextReaderPtr
    private let bytes: UnsafeMutableBufferPointer<CChar>
    private let limits: DocumentLimits
    /// The close of an element that came as `<a/>`.
    private var pending: String?

    init(_ text: [UInt8], _ limits: DocumentLimits) throws(Unreadable) {
        bytes = UnsafeMutableBufferPointer<CChar>.allocate(capacity: text.count)
        _ = bytes.update(fromContentsOf: text.lazy.map { CChar(bitPattern: $0) })
        let options = XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
        guard let reader = xmlReaderForMemory(bytes.baseAddress, Int32(bytes.count), nil, nil, Int32(options)) else {
            bytes.deallocate()
            throw Unreadable("holds XML that cannot be read")
        }
        self.reader = reader
        self.limits = limits
    }

    deinit {
        xmlFreeTextReader(reader)
        bytes.deallocate()
    }

    /// nil at the end.
    func next() throws(Unreadable) -> Event? {
        if let name = pending {
            pending = nil
            return .close(name)
        }
        while true {
            let code = xmlTextReaderRead(reader)
            guard code >= 0 else { throw Unreadable("holds broken XML, or XML nested too deeply") }
            guard code > 0 else { return nil }
            guard xmlTextReaderDepth(reader) <= limits.depthMax else { throw Unreadable("is nested too deeply") }
            switch xmlTextReaderNodeType(reader) {
            case Int32(XML_READER_TYPE_ELEMENT.rawValue):
                if xmlTextReaderIsEmptyElement(reader) == 1 { pending = name }
                return .open(name)
            case Int32(XML_READER_TYPE_END_ELEMENT.rawValue): return .close(name)
            case Int32(XML_READER_TYPE_TEXT.rawValue), Int32(XML_READER_TYPE_CDATA.rawValue),
                Int32(XML_READER_TYPE_SIGNIFICANT_WHITESPACE.rawValue):
                if let value = xmlTextReaderConstValue(reader) { return .text(String(cString: value)) }
            case Int32(XML_READER_TYPE_DOCUMENT_TYPE.rawValue), Int32(XML_READER_TYPE_ENTITY_REFERENCE.rawValue):
                throw Unreadable("holds XML with a document type or entities of its own, which Word never writes")
            default: continue
            }
        }
    }

    /// An attribute of the element that was just opened, by its local name.
    func attribute(_ name: String) -> String? {
        defer { xmlTextReaderMoveToElement(reader) }
        var code = xmlTextReaderMoveToFirstAttribute(reader)
        while code == 1 {
            if self.name == name { return xmlTextReaderConstValue(reader).map { String(cString: $0) } }
            code = xmlTextReaderMoveToNextAttribute(reader)
        }
        return nil
    }

    /// Without its prefix.
    private var name: String { xmlTextReaderConstLocalName(reader).map { String(cString: $0) } ?? "" }
}
