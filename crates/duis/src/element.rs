//! The generic tree: what a body or payload is made of, in the order of the schema.

/// The three namespaces a DUIS message uses. Prefixes are the writer's business.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Namespace {
    /// Requests, responses and alerts (`sr`).
    Sr,
    /// Decoded payloads (`ra`).
    Ra,
    /// Signatures (`ds`).
    Ds,
}

impl Namespace {
    /// All three, in the order of the enumeration.
    pub const ALL: [Self; 3] = [Self::Sr, Self::Ra, Self::Ds];

    /// The name a document declares.
    #[must_use]
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sr => "http://www.dccinterface.co.uk/ServiceUserGateway",
            Self::Ra => "http://www.dccinterface.co.uk/ResponseAndAlert",
            Self::Ds => "http://www.w3.org/2000/09/xmldsig#",
        }
    }

    /// The prefix our writer binds, and error paths show.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Sr => "sr",
            Self::Ra => "ra",
            Self::Ds => "ds",
        }
    }
}

/// One element with its attributes, its text or its children.
///
/// Names are `'static`: they come from the structure table or from our own sources, never from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// Which schema it belongs to.
    pub namespace: Namespace,
    /// Local name.
    pub name: &'static str,
    /// Attributes in the order of the document; none of DUIS has a namespace.
    pub attributes: Vec<(&'static str, String)>,
    /// Text of an element without children; empty otherwise.
    pub text: String,
    /// Children in the order of the document.
    pub children: Vec<Element>,
}

impl Element {
    /// An empty element.
    #[must_use]
    pub fn new(namespace: Namespace, name: &'static str) -> Self {
        Self {
            namespace,
            name,
            attributes: Vec::new(),
            text: String::new(),
            children: Vec::new(),
        }
    }

    /// An empty element of the request and response schema.
    #[must_use]
    pub fn sr(name: &'static str) -> Self {
        Self::new(Namespace::Sr, name)
    }

    /// An empty element of the payload schema.
    #[must_use]
    pub fn ra(name: &'static str) -> Self {
        Self::new(Namespace::Ra, name)
    }

    /// With this text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// With one more attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// With one more child at the end.
    #[must_use]
    pub fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// With one more child at the end, if there is one.
    #[must_use]
    pub fn with_optional(mut self, child: Option<Self>) -> Self {
        self.children.extend(child);
        self
    }

    /// With more children at the end.
    #[must_use]
    pub fn with_all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// With one more child at the end that holds only text, in this element's namespace.
    #[must_use]
    pub fn with_leaf(self, name: &'static str, text: impl Into<String>) -> Self {
        let leaf = Self::new(self.namespace, name).with_text(text);
        self.with(leaf)
    }

    /// The first child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of that name, in order.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element reached by these names, one level each.
    #[must_use]
    pub fn at(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The text of the first child of that name.
    #[must_use]
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }
}
