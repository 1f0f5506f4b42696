//! `#[derive(Fields)]`: the names of a struct's fields, in order.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, parse_macro_input};

/// Gives a struct with named fields an associated constant `FIELDS: &[&str]`.
#[proc_macro_derive(Fields)]
pub fn derive_fields(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let Data::Struct(data) = &input.data else {
        return error(&input, "Fields can be derived for structs only");
    };
    let Fields::Named(fields) = &data.fields else {
        return error(&input, "Fields needs named fields");
    };
    let names =
        fields.named.iter().filter_map(|field| field.ident.as_ref().map(ToString::to_string));
    let (ident, (params, ty, clause)) = (&input.ident, input.generics.split_for_impl());
    quote! {
        impl #params #ident #ty #clause {
            /// Names of the fields, in the order of their declaration.
            pub const FIELDS: &'static [&'static str] = &[#(#names),*];
        }
    }
    .into()
}

fn error(input: &DeriveInput, message: &str) -> TokenStream {
    syn::Error::new_spanned(&input.ident, message).into_compile_error().into()
}
