using System.Text;
using FsCheck.Fluent;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Organizations;

namespace Nubabel.Domain.Tests.Values;

public sealed class NameTests
{
    private const string Family = "\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466"; // 1 as seen, 7 code points, 25 bytes

    [Theory]
    [InlineData("phone", "phone")]
    [InlineData("  phone\t\n", "phone")]
    [InlineData("\u00A0\u3000phone\u2003", "phone")]
    [InlineData("cafe\u0301", "caf\u00E9")]
    [InlineData("Ann's phone", "Ann's phone")]
    [InlineData("'; drop table devices; --", "'; drop table devices; --")]
    [InlineData("\u0645\u0647\u0627\u062A\u0641", "\u0645\u0647\u0627\u062A\u0641")]
    [InlineData(Family, Family)]
    public void A_device_name_is_trimmed_and_composed(string text, string expected) => Assert.Equal(expected, DeviceName.Parse(text).Value);

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("a\u0000b")]
    [InlineData("\u0000")]
    [InlineData("a\nb")]
    [InlineData("a\tb")]
    [InlineData("a\u007Fb")]
    [InlineData("a\u0085b")]
    [InlineData("a\u2028b")]
    [InlineData("a\uFFFDb")]
    [InlineData("\u200B\u200D")] // nothing to be seen
    public void A_device_name_without_anything_to_see_or_with_control_characters_is_refused(string text) =>
        Refuses("device.name_invalid", () => DeviceName.Parse(text));

    /// <summary>Not as attribute data: an attribute cannot hold a lone surrogate.</summary>
    [Fact]
    public void A_lone_surrogate_is_refused()
    {
        Refuses("device.name_invalid", () => DeviceName.Parse("a\uD800b"));
        Refuses("device.name_invalid", () => DeviceName.Parse("\uDC00"));
    }

    [Fact]
    public void Fifty_characters_pass_and_fifty_one_do_not()
    {
        Assert.Equal(50, DeviceName.Parse(new string('a', 50)).Value.Length);
        Refuses("device.name_invalid", () => DeviceName.Parse(new string('a', 51)));
        DeviceName.Parse(string.Concat(Enumerable.Repeat("\U0001F600", 50)));
        Refuses("device.name_invalid", () => DeviceName.Parse(string.Concat(Enumerable.Repeat("\U0001F600", 51))));
    }

    [Fact]
    public void Characters_are_counted_as_people_see_them()
    {
        // 50 as seen, 100 code points before they are composed, 100 bytes after.
        DeviceName.Parse(string.Concat(Enumerable.Repeat("e\u0301", 50)));
        // Does not compose: 50 as seen, 150 bytes.
        DeviceName.Parse(string.Concat(Enumerable.Repeat("q\u0307", 50)));
        DeviceName.Parse(string.Concat(Enumerable.Repeat("\U0001F1E9\U0001F1EA", 25)));
    }

    [Fact]
    public void Two_hundred_bytes_pass_and_more_do_not()
    {
        DeviceName.Parse(string.Concat(Enumerable.Repeat(Family, 8)));
        Refuses("device.name_invalid", () => DeviceName.Parse(string.Concat(Enumerable.Repeat(Family, 9))));
        // One character as seen, any number of bytes.
        Refuses("device.name_invalid", () => DeviceName.Parse("a" + new string('\u0323', 100)));
    }

    [Theory]
    [InlineData("PHONE", "phone")]
    [InlineData("\u03A3\u03BF\u03C6\u03CC\u03C2", "\u03C3\u03BF\u03C6\u03CC\u03C3")] // final sigma
    [InlineData("STRASSE", "strasse")]
    [InlineData("\u212A", "k")] // Kelvin sign
    [InlineData("\u1E9E", "\u00DF")] // capital sharp s
    [InlineData("\u0130", "\u0130")] // Turkish İ is a letter of its own without a Turkish locale
    [InlineData("\u0131", "\u0131")]
    [InlineData("I", "i")]
    [InlineData("E\u0301", "\u00E9")]
    [InlineData("\U00010400", "\U00010428")] // Deseret, beyond the first plane
    public void Names_that_differ_in_case_fold_to_the_same(string name, string folded) => Assert.Equal(folded, DeviceName.Parse(name).Folded);

    [Fact]
    public void Sharp_s_is_not_ss() => Assert.NotEqual(DeviceName.Parse("Stra\u00DFe").Folded, DeviceName.Parse("STRASSE").Folded);

    [Fact]
    public void Any_accepted_name_is_its_own_name_and_its_folding_is_stable() => Check.Holds<string>(text =>
    {
        if (!DeviceName.TryParse(text, out var name)) return true;
        return DeviceName.Parse(name.Value) == name
            && Encoding.UTF8.GetByteCount(name.Value) <= DeviceName.MaximumBytes
            && Text.Fold(name.Folded) == name.Folded
            && Text.Fold(name.Value.ToUpperInvariant()) == name.Folded
            && Text.Fold(name.Value.ToLowerInvariant()) == name.Folded;
    });

    [Fact]
    public void Every_letter_folds_like_its_capital_and_its_small_form()
    {
        for (var code = 1; code < 0x110000; code++)
        {
            if (!Rune.IsValid(code) || !Rune.IsLetter(new Rune(code))) continue;
            var letter = new Rune(code).ToString();
            Assert.Equal(Text.Fold(letter), Text.Fold(Text.Fold(letter)));
            Assert.Equal(Text.Fold(letter), Text.Fold(letter.ToUpperInvariant()));
        }
    }

    [Fact]
    public void A_persons_and_an_organizations_name_have_two_hundred_characters()
    {
        PersonName.Parse(new string('\u00E9', 200));
        OrganizationName.Parse(string.Concat(Enumerable.Repeat("\U0001F600", 200)));
        Refuses("name.invalid", () => PersonName.Parse(new string('a', 201)));
        Refuses("organization.name_invalid", () => OrganizationName.Parse(new string('a', 201)));
        Refuses("name.invalid", () => PersonName.Parse(" "));
        Refuses("organization.name_invalid", () => OrganizationName.Parse("a\u0007"));
        Refuses("reason.invalid", () => Reason.Parse(new string('a', 501)));
        Assert.Equal(500, Reason.Parse(new string('a', 500)).Value.Length);
    }

    [Theory]
    [InlineData("ab")]
    [InlineData("a-b")]
    [InlineData("acme-2")]
    [InlineData("0-0-0")]
    [InlineData("123456789012345678901234567890123456789")] // 39
    [InlineData("1-3-5-7-9-1-3-5-7-9-1-3-5-7-9-1-3-5-7-9-1-3-5-7-9-1-3-5-7-9-1-3-5-7-9-1-3-5-7")] // 39 and their hyphens
    public void A_slug_is_lower_case_letters_digits_and_single_hyphens(string slug) => Assert.Equal(slug, Slug.Parse(slug).Value);

    [Theory]
    [InlineData("")]
    [InlineData("a")]
    [InlineData("-a")]
    [InlineData("a-")]
    [InlineData("a--b")]
    [InlineData("Acme")]
    [InlineData("ac me")]
    [InlineData(" acme")]
    [InlineData("acme\n")]
    [InlineData("acm\u00E9")]
    [InlineData("\u0430cme")] // Cyrillic
    [InlineData("a_b")]
    [InlineData("\u0661\u0662")] // Arabic digits
    [InlineData("1234567890123456789012345678901234567890")] // 40
    public void Anything_else_is_no_slug(string slug) => Refuses("organization.slug_invalid", () => Slug.Parse(slug));

    [Fact]
    public void Whatever_is_made_by_the_rule_is_a_slug() =>
        Check.Holds(from first in Gen.Elements("abz059".ToCharArray())
                    from rest in Gen.Choose(1, 38).SelectMany(n => Gen.ListOf(Gen.Elements("a", "9", "-z", "-0"), n))
                    select first + string.Concat(rest), text => Slug.Parse(text).Value == text);

    private static void Refuses(string code, Func<object> parse) =>
        Assert.Equal((code, RefusalKind.Invalid), Assert.Throws<Refused>(parse) is var r ? (r.Code, r.Kind) : default);
}
