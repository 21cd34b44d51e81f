//! `Lang`: the language of what we say.

/// English or Chinese.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    #[default]
    English,
    Chinese,
}

impl Lang {
    pub const ALL: [Lang; 2] = [Lang::English, Lang::Chinese];

    /// What begins with `zh`, such as `zh_CN.UTF-8`, is Chinese; everything else is English.
    pub fn named(name: &str) -> Lang {
        if name.starts_with("zh") { Lang::Chinese } else { Lang::English }
    }

    /// `en` or `zh`.
    pub fn name(self) -> &'static str {
        self.pick("en", "zh")
    }

    /// The one of two that is in this language.
    pub fn pick<T>(self, english: T, chinese: T) -> T {
        match self {
            Lang::English => english,
            Lang::Chinese => chinese,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_own_name_and_by_that_of_a_locale() {
        for lang in Lang::ALL {
            assert_eq!(Lang::named(lang.name()), lang);
        }
        assert_eq!(
            ["zh_CN.UTF-8", "zh-Hant", "C", ""].map(|name| Lang::named(name).name()),
            ["zh", "zh", "en", "en"]
        );
    }
}
