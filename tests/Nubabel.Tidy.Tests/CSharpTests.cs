namespace Nubabel.Tidy.Tests;

public sealed class CSharpTests
{
    [Theory]
    [InlineData("a // b", "a     ")]
    [InlineData("a /* b\nc */ d", "a     \n     d")]
    [InlineData("x = \"b\";", "x =    ;")]
    [InlineData("x = \"b\\\"c\"; d", "x =       ; d")]
    [InlineData("x = @\"b\"\"c\\\"; d", "x =         ; d")]
    [InlineData("x = '\"'; d", "x =    ; d")]
    [InlineData("x = '\\''; d", "x =     ; d")]
    [InlineData("x = '\\\\'; d", "x =     ; d")]
    [InlineData("x = \"\"; d", "x =   ; d")]
    [InlineData("x = $\"b{c}d\"; e", "x =     c   ; e")]
    [InlineData("x = $\"b{c(\"d\")}e\"; f", "x =     c(   )   ; f")]
    [InlineData("x = $\"{{b}}\"; c", "x =         ; c")]
    [InlineData("x = \"\"\"b \"c\" d\"\"\"; e", "x =              ; e")]
    [InlineData("x = $$\"\"\"{b} {{c}}\"\"\"; d", "x =            c     ; d")]
    public void Only_code_remains(string text, string code) => Assert.Equal(code, CSharp.Bare(text));

    [Fact]
    public void Every_line_of_the_repository_stays_where_it_is() =>
        Assert.All(Sources.CSharp, s => Assert.Equal(s.Text.Count(c => c == '\n'), s.Code.Count(c => c == '\n')));

    /// <summary>If a literal were taken for code, or code for a literal, braces would not match.</summary>
    [Fact]
    public void The_braces_of_every_file_match() =>
        Assert.All(Sources.CSharp, s => Assert.True(s.Code.Count(c => c == '{') == s.Code.Count(c => c == '}'), s.Path));

    [Fact]
    public void There_are_sources_to_look_at()
    {
        Assert.Contains(Sources.Product, s => s.Path == "src/Nubabel.Domain/Core.cs");
        Assert.Contains(Sources.OfKind(".sql"), s => s.Path == "src/Nubabel.Store/Schema/0001_events.sql");
        Assert.DoesNotContain(Sources.All, s => s.Path.Contains("/obj/", StringComparison.Ordinal));
    }
}
