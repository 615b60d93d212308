//! The modules of one crate: which file defines each, and what each imports and defines.
//!
//! Code under `#[cfg(test)]` and `#[test]` is left out.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Ident, ImplItemFn, Item, ItemFn, ItemMod, Macro, Meta, MetaList, Token,
    TraitItemFn, UseTree, Visibility, punctuated::Punctuated,
};

use super::sources::Sources;

/// The segments of a path, as written: `crate`, `clock`, `Clock`.
pub(super) type Segments = Vec<String>;

/// All modules of one crate. A crate with a library and a program has a tree of modules for each.
#[derive(Default)]
pub(super) struct Modules {
    /// The crate's folder, from the root of the repository.
    pub(super) folder: String,
    /// The modules; a parent stands before its children.
    pub(super) all: Vec<Module>,
}

/// One module, and what stands in it outside its child modules.
#[derive(Default)]
pub(super) struct Module {
    /// The file that defines it, from the crate's folder.
    pub(super) file: String,
    /// Its name after that of its parents; empty for the root of a tree.
    pub(super) path: Segments,
    /// `None` for the root of a tree.
    pub(super) parent: Option<usize>,
    /// The child modules by name, as indices into [`Modules::all`].
    pub(super) children: BTreeMap<String, usize>,
    /// The names that `use` declarations bind, and the paths that they stand for. `_` may repeat, and
    /// so may a name that declarations inside functions bind.
    pub(super) bindings: Vec<(String, Segments)>,
    /// The paths before `::*` in `use` declarations.
    pub(super) globs: Vec<Segments>,
    /// The paths in the code, outside `use` declarations.
    pub(super) paths: Vec<Segments>,
    /// The names of the items that it defines.
    pub(super) items: Vec<String>,
    /// The types that it defines and that other modules can see.
    pub(super) types: Vec<Definition>,
    /// The functions with a body.
    pub(super) functions: Vec<Definition>,
}

impl Module {
    /// The path that an imported name stands for.
    pub(super) fn binding(&self, name: &str) -> Option<&Segments> {
        self.bindings.iter().find(|(bound, _)| bound == name).map(|(_, path)| path)
    }

    /// Whether a path may start with `name` in this module: a child module, an item or an import.
    pub(super) fn binds(&self, name: &str) -> bool {
        self.children.contains_key(name)
            || self.binding(name).is_some()
            || self.items.iter().any(|item| item == name)
    }
}

/// An item and its place in the file.
pub(super) struct Definition {
    pub(super) name: String,
    /// The line that it starts in, from 1.
    pub(super) line: usize,
    /// The lines between the braces of its body; 0 for a type.
    pub(super) body_lines: usize,
}

impl Modules {
    /// Parses the crate's targets, `src/lib.rs`, `src/main.rs` and `src/bin/*.rs`, with all the
    /// modules that they declare.
    ///
    /// # Errors
    /// A file is no valid Rust, or a module has no file.
    pub(super) fn parse(sources: &Sources) -> Result<Self> {
        let mut modules = Self { folder: sources.folder.clone(), all: Vec::new() };
        for file in sources.texts.keys() {
            let folder = match file.strip_prefix("src/") {
                Some("lib.rs" | "main.rs") => "src",
                Some(name) if name.starts_with("bin/") && name.matches('/').count() == 1 => {
                    "src/bin"
                }
                _ => continue,
            };
            let root = Module { file: file.clone(), ..Module::default() };
            modules.all.push(root);
            modules.parse_file(sources, modules.all.len() - 1, folder)?;
        }
        Ok(modules)
    }

    /// The index of the root of the tree that a module belongs to.
    pub(super) fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.all[module].parent {
            module = parent;
        }
        module
    }

    /// Parses the file of `module`, then the files of its children, which lie in `folder`.
    fn parse_file(&mut self, sources: &Sources, module: usize, folder: &str) -> Result<()> {
        let path = format!("{}/{}", self.folder, self.all[module].file);
        let text = sources.texts.get(&self.all[module].file).context("no such file");
        let text = text.with_context(|| format!("reading {path}"))?;
        let file = syn::parse_file(text).map_err(|error| {
            let line = error.span().start().line;
            anyhow::anyhow!("parsing {path}, line {line}: {error}")
        })?;
        let mut collector =
            Collector { modules: self, module, folder: folder.to_owned(), declared: Vec::new() };
        collector.visit_file(&file);
        for (parent, name, folder) in collector.declared {
            let file = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
                .into_iter()
                .find(|file| sources.texts.contains_key(file))
                .with_context(|| format!("looking for module {name} of {path}: it has no file"))?;
            let child = self.add_child(parent, &name, file);
            self.parse_file(sources, child, &format!("{folder}/{name}"))?;
        }
        Ok(())
    }

    fn add_child(&mut self, parent: usize, name: &str, file: String) -> usize {
        let mut path = self.all[parent].path.clone();
        path.push(name.to_owned());
        let child = self.all.len();
        self.all.push(Module { file, path, parent: Some(parent), ..Module::default() });
        self.all[parent].children.insert(name.to_owned(), child);
        child
    }
}

/// Collects what one file says into its module and into the modules written inside it.
struct Collector<'a> {
    modules: &'a mut Modules,
    /// The module that is being read.
    module: usize,
    /// The folder that holds the files of its child modules.
    folder: String,
    /// The modules that have files of their own: parent, name, folder of the file.
    declared: Vec<(usize, String, String)>,
}

impl Collector<'_> {
    fn module(&mut self) -> &mut Module {
        &mut self.modules.all[self.module]
    }

    fn define(&mut self, name: &Ident) {
        self.module().items.push(name.to_string());
    }

    fn define_type(&mut self, name: &Ident, visibility: &Visibility) {
        self.define(name);
        if !matches!(visibility, Visibility::Inherited) {
            self.define_visible_type(name);
        }
    }

    fn define_visible_type(&mut self, name: &Ident) {
        let line = name.span().start().line;
        self.module().types.push(Definition { name: name.to_string(), line, body_lines: 0 });
    }

    /// Defines the enum that stands in the arguments of a macro, which are not parsed.
    fn define_enum_in(&mut self, arguments: &Macro) {
        let mut tokens = arguments.tokens.clone().into_iter();
        let is_enum = |token: TokenTree| matches!(token, TokenTree::Ident(word) if word == "enum");
        if tokens.any(is_enum)
            && let Some(TokenTree::Ident(name)) = tokens.next()
        {
            self.define(&name);
            self.define_visible_type(&name);
        }
    }

    fn define_function(&mut self, name: &Ident, body: &Block) {
        let braces = body.brace_token.span;
        let lines = braces.close().start().line - braces.open().start().line;
        self.module().functions.push(Definition {
            name: name.to_string(),
            line: name.span().start().line,
            body_lines: lines.saturating_sub(1),
        });
    }

    fn read_module(&mut self, item: &ItemMod) {
        let name = item.ident.to_string();
        let Some((_, items)) = &item.content else {
            self.declared.push((self.module, name, self.folder.clone()));
            return;
        };
        let file = self.module().file.clone();
        let parent = self.module;
        let folder = format!("{}/{name}", self.folder);
        let folder = std::mem::replace(&mut self.folder, folder);
        self.module = self.modules.add_child(parent, &name, file);
        for item in items {
            self.visit_item(item);
        }
        self.module = parent;
        self.folder = folder;
    }

    /// Collects the names that a `use` declaration binds.
    fn read_use(&mut self, tree: &UseTree, prefix: &[String]) {
        let with = |name: &Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.read_use(&path.tree, &with(&path.ident)),
            UseTree::Name(name) if name.ident == "self" => {
                if let Some(last) = prefix.last() {
                    self.module().bindings.push((last.clone(), prefix.to_vec()));
                }
            }
            UseTree::Name(name) => {
                let path = with(&name.ident);
                self.module().bindings.push((name.ident.to_string(), path));
            }
            UseTree::Rename(rename) => {
                let path =
                    if rename.ident == "self" { prefix.to_vec() } else { with(&rename.ident) };
                self.module().bindings.push((rename.rename.to_string(), path));
            }
            UseTree::Glob(_) => self.module().globs.push(prefix.to_vec()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(tree, prefix);
                }
            }
        }
    }

    /// Collects the paths in the arguments of a macro or an attribute, which are not parsed.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path: Segments = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.add_path(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.add_path(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.read_tokens(group.stream());
                    }
                }
            }
        }
        self.add_path(path);
    }

    /// Keeps a path of more than one segment; one alone stands for an item that is imported or
    /// defined here.
    fn add_path(&mut self, path: Segments) {
        if path.len() > 1 {
            self.module().paths.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) {
            return;
        }
        match item {
            Item::Mod(item) => return self.read_module(item),
            Item::Use(item) if item.leading_colon.is_none() => self.read_use(&item.tree, &[]),
            Item::Struct(item) => self.define_type(&item.ident, &item.vis),
            Item::Enum(item) => self.define_type(&item.ident, &item.vis),
            Item::Union(item) => self.define_type(&item.ident, &item.vis),
            Item::Trait(item) => self.define_type(&item.ident, &item.vis),
            Item::Type(item) => self.define_type(&item.ident, &item.vis),
            Item::Macro(item) => self.define_enum_in(&item.mac),
            Item::Const(item) => self.define(&item.ident),
            Item::Static(item) => self.define(&item.ident),
            Item::Fn(item) => self.define(&item.sig.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.define_function(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test(&function.attrs) {
            self.define_function(&function.sig.ident, &function.block);
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if is_test(&function.attrs) {
            return;
        }
        if let Some(body) = &function.default {
            self.define_function(&function.sig.ident, body);
        }
        visit::visit_trait_item_fn(self, function);
    }

    /// `pub(super)` and its like import nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.add_path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.read_tokens(invocation.tokens.clone());
        visit::visit_macro(self, invocation);
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.read_tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}

/// Whether only tests compile the item with these attributes.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        attribute.path().is_ident("test")
            || is_cfg && attribute.parse_args().is_ok_and(|condition| needs_test(&condition))
    })
}

/// Whether a condition of `cfg` holds in tests only: `test`, or `all` with `test` among its parts.
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(needs_test)),
        Meta::Path(path) => path.is_ident("test") || path.is_ident("doctest"),
        _ => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
