namespace Nubabel.Domain.Tests.Values;

public sealed class PasswordTests
{
    [Theory]
    [InlineData("correct horse battery staple")]
    [InlineData("Tr0ub4dor&3-and-more")]
    [InlineData("            x")] // blanks count and are kept
    [InlineData("\u043F\u0430\u0440\u043E\u043B\u044C-\u0434\u043B\u0438\u043D\u043D\u044B\u0439")]
    [InlineData("admin-password-of-acme")]
    [InlineData("secret-password-1")]
    public void A_long_enough_and_uncommon_password_passes(string text) => Assert.Equal(text, Password.Parse(text).Value);

    [Theory]
    [InlineData("", "password.too_short")]
    [InlineData("elevenchars", "password.too_short")]
    [InlineData("\U0001F600\U0001F601\U0001F602\U0001F603\U0001F604\U0001F605", "password.too_short")] // 12 UTF-16 units, 6 characters
    [InlineData("aaaaaaaaaaaa", "password.too_common")]
    [InlineData("121212121212", "password.too_common")]
    [InlineData("abcabcabcabcab", "password.too_common")]
    [InlineData("abcdefghijkl", "password.too_common")]
    [InlineData("lkjihgfedcba", "password.too_common")]
    [InlineData("123456789012", "password.too_common")]
    [InlineData("987654321098", "password.too_common")]
    [InlineData("qwertyuiopas", "password.too_common")]
    [InlineData("1q2w3e4r5t6y", "password.too_common")]
    [InlineData("1qaz2wsx3edc", "password.too_common")]
    [InlineData("password1234", "password.too_common")]
    [InlineData("passwordpassword", "password.too_common")]
    [InlineData("P@ssw0rd!!!!", "password.too_common")]
    [InlineData("!Passw0rd1234!", "password.too_common")]
    [InlineData("Administrator1", "password.too_common")]
    [InlineData("Nubabel-2026!", "password.too_common")] // the product
    [InlineData("qwerty123456", "password.too_common")]
    [InlineData("Chocolate2026!", "password.too_common")]
    [InlineData("2026-butterfly-7", "password.too_common")]
    [InlineData("L1verp00l!!!!", "password.too_common")]
    [InlineData("starwarsStarWars", "password.too_common")]
    [InlineData("justinbieber", "password.too_common")]
    [InlineData("123456654321", "password.too_common")]
    [InlineData("Counterstrike", "password.too_common")]
    [InlineData("Circumstances1!", "password.too_common")]
    public void A_short_or_common_password_is_refused(string text, string code)
    {
        Assert.Equal((code, RefusalKind.Invalid), Assert.Throws<Refused>(() => Password.Parse(text)) is var r ? (r.Code, r.Kind) : default);
        Assert.False(Password.TryParse(text, out _));
    }

    [Fact]
    public void A_hundred_and_twenty_eight_characters_pass_and_one_more_does_not()
    {
        var longest = string.Concat(Enumerable.Range(0, 128).Select(i => char.ConvertFromUtf32(0x1F300 + i)));
        Password.Parse(longest);
        Assert.Equal("password.too_long", Assert.Throws<Refused>(() => Password.Parse(longest + "x")).Code);
        Assert.Equal("password.too_long", Assert.Throws<Refused>(() => Password.Parse(new string('x', 10_000_000))).Code);
    }

    [Fact]
    public void However_an_accent_is_typed_it_is_the_same_password() =>
        Assert.Equal(Password.Parse("cr\u00E8me br\u00FBl\u00E9e!"), Password.Parse("cre\u0300me bru\u0302le\u0301e!"));

    [Fact]
    public void The_list_holds_thousands_that_are_long_enough()
    {
        using var reader = new StreamReader(typeof(Password).Assembly.GetManifestResourceStream("GuessedPasswords.txt")!);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#').ToArray();
        Assert.True(lines.Length > 10_000);
        Assert.True(lines.Count(line => line.Length >= Password.MinimumCharacters) > 3_000);
        Assert.All(lines.Where(line => line.Length >= Password.MinimumCharacters), line => Assert.Throws<Refused>(() => Password.Parse(line)));
        Assert.All(lines, line => Assert.False(Password.TryParse(line + "!123456789012", out _) && line.All(char.IsLetter), line));
    }

    [Theory]
    [InlineData("Acme Rockets Ltd")]
    [InlineData("acmerocketsltd")]
    [InlineData("!Acm3 Rock3ts Ltd 2026")]
    [InlineData("acme-rockets-acme-rockets")]
    [InlineData("ada.lovelace@acme.example")]
    [InlineData("Ada.Lovelace1815")]
    public void What_everybody_knows_of_the_account_is_no_password(string text) =>
        Assert.Equal("password.too_obvious", Assert.Throws<Refused>(() => Password.Parse(text).Unlike(["Acme Rockets Ltd", "acme-rockets", .. Password.KnownOf(Email.Parse("ada.lovelace@acme.example"))])).Code);

    [Fact]
    public void What_only_holds_such_a_word_may_be_one()
    {
        Assert.NotNull(Password.Parse("my rocket at acme is red").Unlike("acme", null, "", "!!"));
        Assert.NotNull(Password.Parse("829173645281").Unlike("12", "34"));
    }

    [Fact]
    public void It_prints_as_nothing() => Assert.Equal("(password)", $"{Password.Parse("correct horse battery")}");
}
