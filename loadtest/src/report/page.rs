//! Self-contained HTML pages for people: everything is in the page, and it makes no request.

pub(crate) mod run;

use serde::Serialize;

/// Markup, styles and the chart drawing. [`TITLE`], [`DATA`] and [`SCRIPT`] are replaced, in this order.
const TEMPLATE: &str = include_str!("page/page.html");
const TITLE: &str = "<!--TITLE-->";
const DATA: &str = "/*DATA*/null";
const SCRIPT: &str = "/*SCRIPT*/";

/// Returns a page with this title. `script` draws it from `data`, which it finds as `D`.
pub(crate) fn page(title: &str, data: &impl Serialize, script: &str) -> anyhow::Result<String> {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    // Inside a script element no text may look like its end tag.
    let data = serde_json::to_string(data)?.replace('<', "\\u003c");
    let mut page = String::with_capacity(TEMPLATE.len() + data.len() + script.len());
    let mut rest = TEMPLATE;
    for (place, content) in [(TITLE, title.as_str()), (DATA, data.as_str()), (SCRIPT, script)] {
        if let Some((before, after)) = rest.split_once(place) {
            page.push_str(before);
            page.push_str(content);
            rest = after;
        }
    }
    page.push_str(rest);
    Ok(page)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails if a browser that shows the page could make any request.
    pub(crate) fn check_asks_nobody(page: &str) {
        assert_eq!(page.matches("</script>").count(), 1, "nothing in it ends the script");
        for asking in ["src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "refresh", "://"] {
            assert!(!page.contains(asking), "{asking}");
        }
        // The browser would refuse a request in any case, because of the page's policy.
        assert!(page.contains("content=\"default-src 'none';"));
    }

    #[test]
    fn title_data_and_script_stand_where_they_belong_whatever_they_hold() {
        let hostile = format!("</title>{DATA}{SCRIPT}");
        let page = page(&hostile, &["</script>", SCRIPT], "draw(D)").unwrap();
        check_asks_nobody(&page);
        assert!(page.contains("<title>&lt;/title>"), "{}", &page[..400]);
        assert!(page.contains(r#"const D = ["\u003c/script>","/*SCRIPT*/"];"#));
        assert!(page.contains("draw(D)\n</script>"));
    }
}
