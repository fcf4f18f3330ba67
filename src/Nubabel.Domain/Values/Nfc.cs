using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Nubabel.Domain;

/// <summary>
/// Unicode normal form C (UAX #15). The framework's <c>string.Normalize</c> does nothing at all where globalization is invariant, which it
/// is here, so that no machine needs ICU. And a claim must have the same spelling on every node whatever its libraries are.
/// </summary>
internal static class Nfc
{
    // Hangul syllables are composed by arithmetic (The Unicode Standard, §3.12).
    private const int SBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7, LCount = 19, VCount = 21, TCount = 28;

    // The first code point that takes part in any composition: below it every text is its own normal form.
    private const char FirstToCompose = '\u0300';

    private static readonly FrozenDictionary<int, byte> Classes = ReadClasses();
    private static readonly FrozenDictionary<int, int[]> Decompositions;
    private static readonly FrozenDictionary<long, int> Compositions;

    static Nfc()
    {
        var decompositions = new Dictionary<int, int[]>();
        var compositions = new Dictionary<long, int>();
        var code = 0;
        foreach (var entry in NfcTable.Decompositions.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries))
        {
            var sign = entry.AsSpan().IndexOfAny('=', '!');
            code += Hex(entry.AsSpan(0, sign));
            int[] parts = [.. entry[(sign + 1)..].Split('+').Select(p => Hex(p))];
            decompositions.Add(code, parts);
            if (entry[sign] == '=') compositions.Add(Pair(parts[0], parts[1]), code);
        }
        Decompositions = decompositions.ToFrozenDictionary();
        Compositions = compositions.ToFrozenDictionary();
    }

    /// <summary>The normal form. A lone surrogate, which has none, becomes U+FFFD.</summary>
    public static string Normalize(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange(FirstToCompose, char.MaxValue)) return text;
        var codes = new List<int>(text.Length + 8);
        foreach (var rune in text.EnumerateRunes()) Decompose(rune.Value, codes);
        Order(codes);
        Compose(codes);
        var result = new StringBuilder(text.Length);
        foreach (var code in codes) result.Append(new Rune(code).ToString());
        return result.ToString();
    }

    private static void Decompose(int code, List<int> into)
    {
        if (code - SBase is >= 0 and < LCount * VCount * TCount and var s)
        {
            into.Add(LBase + s / (VCount * TCount));
            into.Add(VBase + s % (VCount * TCount) / TCount);
            if (s % TCount != 0) into.Add(TBase + s % TCount);
        }
        else if (code >= 0xC0 && Decompositions.TryGetValue(code, out var parts))
        {
            foreach (var part in parts) Decompose(part, into);
        }
        else
        {
            into.Add(code);
        }
    }

    /// <summary>Sorts each run of marks by class and leaves marks of one class in their order. Linear but for the runs, which are sorted in n log n.</summary>
    private static void Order(List<int> codes)
    {
        for (var start = 0; start < codes.Count; start++)
        {
            if (ClassOf(codes[start]) == 0) continue;
            var end = start + 1;
            while (end < codes.Count && ClassOf(codes[end]) != 0) end++;
            if (end - start > 1)
            {
                // OrderBy is stable, which List.Sort is not.
                var sorted = codes.GetRange(start, end - start).OrderBy(ClassOf).ToArray();
                for (var i = 0; i < sorted.Length; i++) codes[start + i] = sorted[i];
            }
            start = end;
        }
    }

    private static void Compose(List<int> codes)
    {
        int starter = -1, lastClass = -1, written = 0;
        for (var i = 0; i < codes.Count; i++)
        {
            var code = codes[i];
            var ownClass = ClassOf(code);
            // A mark is blocked from its starter by a mark of the same or a higher class in between, a starter by anything in between.
            if (starter >= 0 && lastClass < ownClass && TryCompose(codes[starter], code, out var composite))
            {
                codes[starter] = composite;
                continue;
            }
            if (ownClass == 0) starter = written;
            // Directly behind its starter nothing blocks, not even for another starter (Hangul, some Indic vowels).
            lastClass = ownClass == 0 ? -1 : ownClass;
            codes[written++] = code;
        }
        codes.RemoveRange(written, codes.Count - written);
    }

    private static bool TryCompose(int first, int second, out int composite)
    {
        if (first - LBase is >= 0 and < LCount and var l && second - VBase is >= 0 and < VCount and var v)
        {
            composite = SBase + (l * VCount + v) * TCount;
            return true;
        }
        if (first - SBase is >= 0 and < LCount * VCount * TCount and var s && s % TCount == 0 && second - TBase is > 0 and < TCount and var t)
        {
            composite = first + t;
            return true;
        }
        return Compositions.TryGetValue(Pair(first, second), out composite);
    }

    private static byte ClassOf(int code) => code < FirstToCompose ? (byte)0 : Classes.GetValueOrDefault(code);

    private static long Pair(int first, int second) => ((long)first << 32) | (uint)second;

    private static FrozenDictionary<int, byte> ReadClasses()
    {
        var classes = new Dictionary<int, byte>();
        var code = 0;
        foreach (var entry in NfcTable.Classes.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = entry.IndexOf(':', StringComparison.Ordinal);
            var run = entry[..colon].Split('-');
            code += Hex(run[0]);
            for (var i = 0; i <= (run.Length > 1 ? Hex(run[1]) : 0); i++) classes.Add(code + i, byte.Parse(entry.AsSpan(colon + 1), CultureInfo.InvariantCulture));
        }
        return classes.ToFrozenDictionary();
    }

    private static int Hex(ReadOnlySpan<char> digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
