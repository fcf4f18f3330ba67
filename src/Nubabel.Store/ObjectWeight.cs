using System.Collections;
using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Nubabel.Store;

/// <summary>
/// Weighs what hangs on some objects, in bytes, as a 64-bit runtime lays it out: each object once, through all its fields. What programs share anyway (types, delegates, comparers, cultures)
/// weighs nothing. A microsecond for a small state, so it is done now and then and not for each command.
/// </summary>
internal static class ObjectWeight
{
    /// <summary>The head of an object: its type and its lock word.</summary>
    private const int Head = 16;

    private static readonly ConcurrentDictionary<Type, Shape> shapes = [];

    /// <param name="most">Where it is more than this, it is not weighed to the end.</param>
    public static long Of(IEnumerable<object?> roots, long most = long.MaxValue)
    {
        var walk = new Walk();
        foreach (var root in roots) walk.Reach(root);
        return walk.ToEnd(most);
    }

    /// <summary>How objects of a type are laid out.</summary>
    /// <param name="Size">Of its fields together, or of one place of an array.</param>
    /// <param name="Fields">Those that lead to other objects.</param>
    private sealed record Shape(long Size, FieldInfo[] Fields, bool LeadsOn)
    {
        public static Shape Of(Type type) => shapes.GetOrAdd(type, static type =>
        {
            if (type.IsArray)
            {
                var element = type.GetElementType()!;
                return new Shape(SizeOf(element), [], Leads(element));
            }
            var all = new List<FieldInfo>();
            for (var at = type; at is not null && at != typeof(object); at = at.BaseType)
                all.AddRange(at.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly));
            var leading = all.Where(f => Leads(f.FieldType)).ToArray();
            return new Shape(all.Sum(f => SizeOf(f.FieldType)), leading, leading.Length > 0);
        });

        private static long SizeOf(Type type) => type.IsValueType ? RuntimeHelpers.SizeOf(type.TypeHandle) : IntPtr.Size;

        private static bool Leads(Type type) => !type.IsPointer && !type.IsFunctionPointer && !type.IsPrimitive && !type.IsEnum && (!type.IsValueType || Of(type).LeadsOn);
    }

    private sealed class Walk
    {
        private readonly HashSet<object> met = new(ReferenceEqualityComparer.Instance);
        private readonly Stack<object> left = new();
        private long bytes;

        public void Reach(object? next)
        {
            if (next is null or MemberInfo or Delegate or IEqualityComparer or IComparer or CultureInfo || !met.Add(next)) return;
            left.Push(next);
        }

        public long ToEnd(long most)
        {
            while (bytes <= most && left.TryPop(out var next))
            {
                var shape = Shape.Of(next.GetType());
                switch (next)
                {
                    case string text:
                        bytes += Head + sizeof(int) + 2L * (text.Length + 1);
                        break;
                    case Array array:
                        bytes += Head + sizeof(long) + shape.Size * array.Length;
                        if (shape.LeadsOn)
                            foreach (var item in array) Step(item);
                        break;
                    default:
                        bytes += Head + shape.Size;
                        Through(next, shape);
                        break;
                }
            }
            return bytes;
        }

        private void Through(object holder, Shape shape)
        {
            foreach (var field in shape.Fields) Step(field.GetValue(holder));
        }

        /// <summary>A value lies in what holds it and has been weighed with it; it may lead on.</summary>
        private void Step(object? next)
        {
            if (next is ValueType value) Through(value, Shape.Of(value.GetType()));
            else Reach(next);
        }
    }
}
