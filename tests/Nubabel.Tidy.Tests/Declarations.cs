using System.Text.RegularExpressions;

namespace Nubabel.Tidy.Tests;

/// <summary>A type declared in a source, and the line of its declaration, from 1.</summary>
public sealed record DeclaredType(Source Source, string Name, int Line, bool Public);

/// <summary>A member of a type, with its first line and how many it has.</summary>
public sealed record Member(Source Source, string Header, int Line, int Lines, string Code);

/// <summary>Finds declarations in bare code by braces and keywords.</summary>
public static partial class Declarations
{
    public static IEnumerable<DeclaredType> Types(Source source) =>
        TypeHeader().Matches(source.Code).Select(m =>
            new DeclaredType(source, m.Groups["name"].Value, source.LineOf(m.Groups["keyword"].Index), m.Groups["modifiers"].Value.Contains("public", StringComparison.Ordinal)));

    /// <summary>Whatever stands directly in a type and has a block: methods, properties, constructors, switch expressions as bodies.</summary>
    public static IEnumerable<Member> Members(Source source)
    {
        var code = source.Code;
        var blocks = new Stack<(bool IsType, int Start)>();
        var headerStart = 0;
        for (var i = 0; i < code.Length; i++)
        {
            switch (code[i])
            {
                case '{':
                    blocks.Push((BlockOfType().IsMatch(code.AsSpan(headerStart, i - headerStart)), headerStart));
                    headerStart = i + 1;
                    break;
                case '}' when blocks.Count > 0:
                    var (isType, start) = blocks.Pop();
                    if (!isType && blocks.Count > 0 && blocks.Peek().IsType)
                    {
                        while (char.IsWhiteSpace(code[start])) start++;
                        var body = code[start..(i + 1)];
                        yield return new Member(source, body[..body.IndexOf('{', StringComparison.Ordinal)].Trim(), source.LineOf(start), 1 + body.Count(c => c == '\n'), body);
                    }
                    headerStart = i + 1;
                    break;
                case ';':
                    headerStart = i + 1;
                    break;
            }
        }
    }

    [GeneratedRegex(@"(?<=^|[;{}\]\)]|\n)[ \t]*(?<modifiers>(?:(?:public|internal|private|protected|file|static|sealed|abstract|readonly|partial|ref|unsafe)\s+)*)(?<keyword>record\s+struct|record\s+class|record|class|struct|interface|enum)\s+(?<name>[A-Z]\w*)")]
    private static partial Regex TypeHeader();

    [GeneratedRegex(@"(^|\s)(class|record|struct|interface|enum|extension)[\s(]")]
    private static partial Regex BlockOfType();
}
