//! XML 1.0, as much as JUnit needs: elements, attributes and text, escaped.

use std::fmt::Write;

/// A document under construction.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    pub(super) fn new() -> Self {
        Xml {
            text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            open: Vec::new(),
        }
    }

    /// Opens an element.
    pub(super) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, ">\n");
        self.open.push(name);
    }

    /// Closes the element that was opened last.
    pub(super) fn close(&mut self) {
        let name = self.open.pop().expect("only what is open is closed");
        self.indent();
        writeln!(self.text, "</{name}>").expect("writing to a string");
    }

    /// An element with nothing in it.
    pub(super) fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, "/>\n");
    }

    /// An element with text in it.
    pub(super) fn element(&mut self, name: &'static str, attributes: &[(&str, &str)], text: &str) {
        self.tag(name, attributes, ">");
        writeln!(self.text, "{}</{name}>", escaped(text)).expect("writing to a string");
    }

    /// The document. Everything is closed.
    pub(super) fn finish(self) -> String {
        assert!(self.open.is_empty(), "all elements are closed");
        self.text
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)], end: &str) {
        self.indent();
        write!(self.text, "<{name}").expect("writing to a string");
        for (name, value) in attributes {
            // Line breaks in attributes would be read as blanks.
            let value = escaped(value).replace('\n', "&#10;").replace('\t', "&#9;");
            write!(self.text, " {name}=\"{value}\"").expect("writing to a string");
        }
        self.text.push_str(end);
    }

    fn indent(&mut self) {
        for _ in 0..self.open.len() {
            self.text.push_str("  ");
        }
    }
}

/// Text without characters that mean something in XML, or that XML 1.0 does not have (section 2.2).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            '\n' | '\t' => escaped.push(character),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_would_take_for_its_own_is_escaped() {
        let mut xml = Xml::new();
        xml.open("suite", &[("name", "a<b & \"c\"\nd")]);
        xml.element("text", &[], "1 < 2 && ]]> \u{1b}[0m");
        xml.empty("end", &[]);
        xml.close();
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <suite name=\"a&lt;b &amp; &quot;c&quot;&#10;d\">\n  \
            <text>1 &lt; 2 &amp;&amp; ]]&gt; \u{fffd}[0m</text>\n  <end/>\n</suite>\n";
        assert_eq!(xml.finish(), expected);
    }
}
