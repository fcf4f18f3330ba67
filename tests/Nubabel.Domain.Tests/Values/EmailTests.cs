namespace Nubabel.Domain.Tests.Values;

public sealed class EmailTests
{
    [Theory]
    [InlineData("ann@example.com", "ann@example.com")]
    [InlineData(" Ann@Example.COM ", "Ann@example.com")]
    [InlineData("a@b", "a@b")]
    [InlineData("root@localhost", "root@localhost")]
    [InlineData("ann+tag@mail.example.co.uk", "ann+tag@mail.example.co.uk")]
    [InlineData("o'brien@example.com", "o'brien@example.com")]
    [InlineData("first.last@xn--bcher-kva.example", "first.last@xn--bcher-kva.example")]
    [InlineData("ann@B\u00DCCHER.example", "ann@b\u00FCcher.example")]
    [InlineData("ann@bu\u0308cher.example", "ann@b\u00FCcher.example")]
    [InlineData("\u7528\u6237@\u4F8B\u5B50.\u5E7F\u544A", "\u7528\u6237@\u4F8B\u5B50.\u5E7F\u544A")]
    public void An_address_keeps_its_local_part_and_has_a_lower_case_domain(string text, string expected) => Assert.Equal(expected, Email.Parse(text).Value);

    [Theory]
    [InlineData("")]
    [InlineData("@")]
    [InlineData("ann")]
    [InlineData("ann@")]
    [InlineData("@example.com")]
    [InlineData("ann@@example.com")]
    [InlineData("ann@bob@example.com")]
    [InlineData("ann bob@example.com")]
    [InlineData("ann@exam ple.com")]
    [InlineData("ann@example..com")]
    [InlineData("ann@.example.com")]
    [InlineData("ann@example.com.")]
    [InlineData("ann@-example.com")]
    [InlineData("ann@example-.com")]
    [InlineData("ann@exa_mple.com")]
    [InlineData(".ann@example.com")]
    [InlineData("ann.@example.com")]
    [InlineData("a..b@example.com")]
    [InlineData("\"ann bob\"@example.com")]
    [InlineData("ann@[127.0.0.1]")]
    [InlineData("Ann <ann@example.com>")]
    [InlineData("ann@example.com,bob@example.com")]
    [InlineData("ann@example.com\r\nBcc: bob@example.com")]
    [InlineData("ann\u0000@example.com")]
    [InlineData("ann@ex\u2028ample.com")]
    [InlineData("ann@exam\u200Bple.com")]
    [InlineData("ann@exam\u200Dple.com")]
    public void Anything_else_is_refused(string text)
    {
        Assert.Equal("email.invalid", Assert.Throws<Refused>(() => Email.Parse(text)).Code);
        Assert.False(Email.TryParse(text, out _));
    }

    [Fact]
    public void Its_bounds_are_octets()
    {
        Email.Parse(new string('a', 64) + "@example.com");
        Assert.False(Email.TryParse(new string('a', 65) + "@example.com", out _));
        Assert.False(Email.TryParse(new string('\u00E9', 33) + "@example.com", out _));
        Assert.False(Email.TryParse("a@" + new string('b', 64), out _));
        var longest = new string('a', 64) + "@" + string.Join('.', new string('b', 63), new string('c', 63), new string('d', 61));
        Assert.Equal(254, Email.Parse(longest).Value.Length);
        Assert.False(Email.TryParse(longest + "d", out _));
        Assert.False(Email.TryParse(null, out _));
    }

    [Theory]
    [InlineData("Ann@Example.com", "ANN@example.COM")]
    [InlineData("jos\u00E9@example.com", "JOSE\u0301@example.com")]
    public void Addresses_that_differ_in_case_are_the_same_account(string one, string other) => Assert.Equal(Email.Parse(one).Normalised, Email.Parse(other).Normalised);

    [Fact]
    public void It_prints_as_nothing() => Assert.DoesNotContain("ann", $"{Email.Parse("ann@example.com")} {PersonName.Parse("ann")}", StringComparison.OrdinalIgnoreCase);

    [Fact]
    public void Any_accepted_address_is_its_own_address() =>
        Check.Holds<string>(text => !Email.TryParse($"{text}@example.com", out var email) || Email.Parse(email.Value) == email && Email.Parse(email.Normalised).Normalised == email.Normalised);
}
